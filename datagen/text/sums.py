"""Equations in text, reckoned exactly: ``48 / 2 = 24``, chains, GSM8K's ``<<48/2=24>>``. Python evaluates nothing.

Read: ``+ - * / ^``, their typographic and LaTeX forms, ``x`` between numbers, brackets, per cent, thousands separators,
currency signs, one word of unit after a number. What cannot be read for certain (variables, functions, unit changes
such as ``90 minutes / 2 = 0.75 hours``, mixed quantities, ``a / b / c``, times of day, ``8 = 5 * 9`` where 8 may end a
name) is not judged: it counts neither as right nor as wrong.

A result with decimals may be rounded or cut off: it is right if either gives it. A whole result must be exact, unless
``≈`` stands before it, which allows one unit of the last place. Per cent may be given as such or as a share.
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator
from fractions import Fraction
from typing import NamedTuple

from datagen.text.reckoning import Token, reckon

_ANNOTATION = re.compile(r"<<([^<>\n]{1,200})>>")
_CODE = re.compile(r"```.*?(?:```|\Z)|`[^`\n]*`|https?://\S+", re.S)
_SAME = str.maketrans(
    {"×": "*", "·": "*", "⋅": "*", "∗": "*", "÷": "/", "−": "-", "–": "-", "﹣": "-", "＝": "=", "\xa0": " "}
)
_LATEX = re.compile(r"\\(times|cdot|div|approx|left|right|[,;! ()\[\]$%])")
_LATEX_FORMS = {"times": "*", "cdot": "*", "div": "/", "approx": "≈", "%": "%"}
_BOLD = re.compile(r"\*\*(?=\S)(.{1,200}?)(?<=\S)\*\*")
_BULLET = re.compile(r"^\s*(?:[-*+•]\s+)+")
_TOKEN = re.compile(
    r"(?P<number>(?:[1-9]\d{0,2}(?:,\d{3})+|0|[1-9]\d*)(?:\.\d+)?(?![\d]|[,.]\d)|\.\d+(?![\d]|\.\d))"
    r"|(?P<operator>\*\*|[-+*/^])"
    r"|(?P<equals>≈|(?<![=<>!:])=(?![=<>]))"
    r"|(?P<bracket>[()])"
    r"|(?P<percent>%)"
    r"|(?P<word>[^\W\d_]+(?:['’][^\W\d_]+)?)"
    r"|(?P<space>[ \t]+)|(?P<currency>[$€£¥])"
    r"|(?P<stop>(?<![.,;:!?\"'“”‘’])[.,;:!?\"'“”‘’]++(?=\s|$)|(?<!\d):|:(?!\d)|[;\"“”])"
    r"|(?P<other>\d(?:[.,]?\d)*+|.)",  # digits that are no number at once: else each of them would be tried anew
    re.S,
)
_FUNCTIONS = frozenset(
    ["sqrt", "log", "ln", "sin", "cos", "tan", "pi", "mod", "of", "per", "over", "times", "plus", "minus", "by"]
)
_NO_UNITS = frozenset(
    [
        "and",
        "or",
        "so",
        "is",
        "are",
        "was",
        "because",
        "since",
        "then",
        "if",
        "when",
        "while",
        "but",
        "which",
        "with",
        "for",
        "to",
        "in",
        "at",
        "that",
    ]
)
_MONEY, _CHANGED = frozenset("$€£¥"), frozenset(("cent", "percent"))
_MOST_TOKENS = 80


class Equation(NamedTuple):
    """As it stands in the text, what its left side comes to, and whether its right side says so."""

    text: str
    value: str
    right: bool


class _Side(NamedTuple):
    value: Fraction
    units: frozenset[str]
    percent: bool
    plain: bool
    """A number alone, with no operator."""
    decimals: bool
    unit: Fraction
    """Of the last place of a plain number, else 0."""


def equations(text: str) -> Iterator[Equation]:
    """Every equation that can be read, in order; a chain ``a = b = c`` gives one for each sign."""
    text = _CODE.sub(" \n ", text)
    for annotation in _ANNOTATION.findall(text):
        yield from _of_line(annotation)
    for line in _ANNOTATION.sub("", text).splitlines():
        if "=" in line or "≈" in line or "＝" in line or "\\approx" in line:
            yield from _of_line(_BOLD.sub(r"\1", line))


def wrong_equations(text: str) -> list[Equation]:
    """Those that are not right."""
    return [equation for equation in equations(text) if not equation.right]


def _of_line(line: str) -> Iterator[Equation]:
    line = _LATEX.sub(lambda found: _LATEX_FORMS.get(found[1], " "), line).translate(_SAME)
    for run in _runs(_tokens(_BULLET.sub("", line))):
        signs = [at for at, token in enumerate(run) if token.kind == "equals"]
        borders = [-1, *signs, len(run)]
        sides = [run[start + 1 : end] for start, end in itertools.pairwise(borders)]
        read = [_side(side) for side in sides]
        for at, sign in enumerate(signs):
            left, right = read[at], read[at + 1]
            if left and right and not _names(left, right, first=at == 0) and _same_units(left, right):
                shown = " ".join(token.text for side in (sides[at], [run[sign]], sides[at + 1]) for token in side)
                yield Equation(shown, _shown(left.value), _agree(left, right, run[sign].text == "≈"))


def _names(left: _Side, right: _Side, *, first: bool) -> bool:
    """Whether no sum is claimed: 60 minutes = 1 hour, or (the price of) 8 = 5 * 8."""
    return left.plain and (first or right.plain)


def _agree(left: _Side, right: _Side, roughly: bool) -> bool:
    if left.percent != right.percent:
        one, other = [
            side._replace(value=side.value * 100, unit=side.unit * 100, percent=False) if side.percent else side
            for side in (left, right)
        ]
        if _agree(one, other, roughly):
            return True
    if left.value == right.value or (roughly and abs(left.value - right.value) < max(left.unit, right.unit)):
        return True
    return _rounded(left.value, right) or _rounded(right.value, left)


def _rounded(value: Fraction, given: _Side) -> bool:
    """Whether a number with decimals is the value rounded, or cut off, at its last place."""
    off, sign = value - given.value, 1 if given.value >= 0 else -1
    return given.decimals and (2 * abs(off) <= given.unit or 0 <= off * sign < given.unit)


def _same_units(left: _Side, right: _Side) -> bool:
    if not left.units:
        return not right.units & _CHANGED
    return not right.units or bool(left.units & right.units)


def _tokens(line: str) -> list[Token]:
    """Without spaces; a stop, and a bracket that is not closed around a sum, is kept as ``stop``."""
    found, glued = [], False
    for match in _TOKEN.finditer(line):
        kind = str(match.lastgroup)
        if kind != "space":
            found.append(Token(kind, match[0], glued))
        glued = kind != "space"
    for at in _idle_brackets(found):
        found[at] = found[at]._replace(kind="stop")
    return found


def _idle_brackets(tokens: list[Token]) -> set[int]:
    opened: list[int] = []
    idle: set[int] = set()
    broken = [0, *itertools.accumulate(one.kind in ("equals", "stop", "other") for one in tokens)]
    numbers = [0, *itertools.accumulate(one.kind == "number" for one in tokens)]
    for at, token in enumerate(tokens):
        if token.text == "(" and token.kind == "bracket":
            opened.append(at)
        elif token.text == ")" and token.kind == "bracket":
            if not opened:
                idle.add(at)
                continue
            start = opened.pop()
            if broken[start] < broken[at] or numbers[start] == numbers[at]:
                idle |= {start, at}
    return idle | set(opened)


def _runs(tokens: list[Token]) -> Iterator[list[Token]]:
    """Stretches of what an equation is made of, with an equals sign in them; units are joined to their numbers.

    Where something that cannot be read touches a stretch, ``?`` stands at that end, so that the side there is not read.
    """
    run: list[Token] = []
    unreadable = False
    for at, token in enumerate(tokens):
        if _part_of_sum(tokens, at, run):
            if not run and unreadable:
                run.append(Token("other", "?", False))
            run.append(token if token.kind != "word" or token.text not in "xX" else Token("operator", "*", False))
            unreadable = False
            continue
        touches = token.kind == "other" or (token.kind == "word" and (token.glued or len(token.text) == 1))
        if run and (token.kind == "other" or (token.kind == "word" and touches)):
            run.append(Token("other", "?", False))
        if any(one.kind == "equals" for one in run):
            yield _shortened(run)
        unreadable = touches or (token.kind == "word" and _meets_sum(tokens, at))
        run = []
    if any(one.kind == "equals" for one in run):
        yield _shortened(run)


def _shortened(run: list[Token]) -> list[Token]:
    """At most ``_MOST_TOKENS``; a side that was cut off is not read."""
    return run if len(run) <= _MOST_TOKENS else [*run[:_MOST_TOKENS], Token("other", "?", False)]


def _meets_sum(tokens: list[Token], at: int) -> bool:
    """Whether a word belongs to the sum after it: a function, or a unit before an operator."""
    after = tokens[at + 1] if at + 1 < len(tokens) else None
    if after is None:
        return False
    operates = after.kind == "operator" or (after.text == "(" and after.glued) or after.kind == "equals"
    return tokens[at].text.lower() in _FUNCTIONS or operates


def _part_of_sum(tokens: list[Token], at: int, run: list[Token]) -> bool:
    token = tokens[at]
    if token.kind in ("number", "operator", "equals", "bracket", "percent", "currency"):
        return True
    if token.kind != "word" or not run or run[-1].kind not in ("number", "percent"):
        return False
    if token.text in "xX":
        return at + 1 < len(tokens) and tokens[at + 1].kind in ("number", "bracket")
    return len(token.text) > 1 and token.text.lower() not in _FUNCTIONS | _NO_UNITS


def _side(tokens: list[Token]) -> _Side | None:
    """What one side comes to; None where it is not a sum from end to end."""
    units = frozenset(_singular(token.text) for token in tokens if token.kind in ("word", "currency"))
    parts = [token for token in tokens if token.kind not in ("word", "currency")]
    if not parts or _mixed(tokens) or any(token.kind == "other" for token in parts):
        return None
    if len(units - _MONEY) > 1 and any(token.text in "+-" for token in parts):
        return None  # 4 pounds - 6 ounces
    try:
        value = reckon(parts)
    except (ValueError, ZeroDivisionError):
        return None
    percent = any(token.kind == "percent" for token in parts)
    if percent and any(token.text in "+-" for token in parts):
        return None  # 100 + 10% may mean 110
    plain = sum(token.kind == "number" for token in parts) == 1 and not any(t.text in "*/^" for t in parts)
    places = len(parts[-1 - percent].text.partition(".")[2]) if plain and parts[-1 - percent].kind == "number" else 0
    unit = Fraction(1, 10**places) / (100 if percent else 1) if plain else Fraction(0)
    return _Side(value, units, percent, plain, places > 0, unit)


def _mixed(tokens: list[Token]) -> bool:
    """Whether a number follows a number or its unit, as in 5 feet 6 inches or 1 1/2."""
    kinds = [token.kind for token in tokens]
    return any(
        kind in ("number", "word") and before in ("number", "word", "percent") and (kind, before) != ("word", "number")
        for before, kind in itertools.pairwise(kinds)
    )


def _singular(unit: str) -> str:
    return unit.lower().removesuffix("s").removesuffix("e")


def _shown(value: Fraction) -> str:
    try:
        return str(value.numerator) if value.denominator == 1 else f"{float(value):.6g}"
    except OverflowError:
        return str(round(value))
