"""The number or phrase that an answer ends with, and whether it is the one that a reference gives."""

from __future__ import annotations

import re
from fractions import Fraction

_MARKED = re.compile(r"^[^\S\n]*####[ \t]*(.+)$", re.M)
_SAID = re.compile(r"\b(?:final )?answer(?: is|:)[ \t]*([^\s][^\n]*)", re.I)
_NUMBER = re.compile(r"-?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?:/[1-9]\d*)?|-?\.\d+")
_FRACTION = re.compile(r"\\[dt]?frac\{(-?\d+)\}\{([1-9]\d*)\}")
_DRESS = re.compile(r"\\(?:text|mathrm|mathbf)\{([^{}]*)\}")
_MOST_DIGITS = 50


def final_answer(answer: str) -> str | None:
    r"""What follows the last ``####`` (GSM8K), stands in the last ``\boxed{}`` (MATH) or after the last "answer is";
    else the last number; None where there is none of it."""
    if marked := _MARKED.findall(answer):
        return str(marked[-1]).strip()
    if (boxed := _boxed(answer)) is not None:
        return boxed
    if said := _SAID.findall(answer):
        return str(said[-1]).strip()
    numbers = _NUMBER.findall(answer)
    return numbers[-1] if numbers else None


def same_answer(given: str, reference: str) -> bool:
    """Whether both are the same number, or, where either holds none, the same text but for case, spaces and dress."""
    one, other = _plain(given), _plain(reference)
    if _value(other) is None and one.casefold() != other.casefold():  # a solution, not its result alone
        other = _plain(final_answer(reference) or reference)
    numbers = _value(one), _value(other)
    return numbers[0] == numbers[1] if None not in numbers else one.casefold() == other.casefold()


def _boxed(answer: str) -> str | None:
    start = answer.rfind("\\boxed{")
    if start < 0:
        return None
    depth, begin = 0, start + len("\\boxed")
    for at in range(begin, len(answer)):
        depth += (answer[at] == "{") - (answer[at] == "}")
        if depth == 0:
            return answer[begin + 1 : at].strip()
    return None


def _plain(text: str) -> str:
    text = _FRACTION.sub(r"\1/\2", _DRESS.sub(r"\1", text))
    return " ".join(re.sub(r"[$*`]|\\[,!;$()]", "", text).split()).lstrip(" :").rstrip(" .")


def _value(text: str) -> Fraction | None:
    """The one number of a text; None where there is none, or several."""
    found = _NUMBER.findall(text)
    if len(found) != 1 or len(found[0]) > _MOST_DIGITS:
        return None
    return Fraction(found[0].replace(",", ""))
