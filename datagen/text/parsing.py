"""Parsers of model replies. Pure, linear in the text, and never guessing: what is not there comes back as nothing.

A prompt file names its parser (``parser: score_first``); stages look it up with ``choose``. Stop strings such as
``"16."`` would cut legitimate text (``"in 2016."``), so lists are parsed by their structure instead.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Literal, NamedTuple, TypeVar

from datagen.errors import ConfigError

P = TypeVar("P")
Winner = Literal["first", "second", "tie"]

_ITEM = re.compile(r" {0,3}(?:\*\*)?(?:[Tt]ask +)?(\d{1,3})(?:\*\*)?[.):、．：](?!\d)(?:\*\*)?[ \t]*")
_FIELD = re.compile(
    r"[ \t]*[*#]{0,4} ?(?:(Input|Output)(?: *\d{1,3})?\*{0,2} ?(?:[:：]|$)|(Example) *\d{1,3}\*{0,2}[.:：]?)"
    r"\*{0,2}[ \t]*",
    re.I,
)
_OPEN = r"[\s*_#>\"'`(\[]*"
_NUMBER = r"(\d{1,3}(?:[.,]\d{1,3})?)(?!\d)(?:\s?(?:/|out of)\s?(\d{1,3})(?!\d))?"
_END = r"(?=\s*(?:$|[:,;\-–—](?!\s*\d)|[*_`\"')\]]|\.\s*$))"
_FIRST_LINE = re.compile(rf"{_OPEN}(?:(?:score|rating)[\s:：=*_]*)?{_NUMBER}{_END}", re.I)
_NAMED = re.compile(rf"\bscore[*_`\"']{{0,3}}\s{{0,3}}(?:[:：=]|is\b)[\s*_`\"'(\[]{{0,5}}{_NUMBER}", re.I)
_ALONE = re.compile(rf"{_OPEN}{_NUMBER}[\s*_`\"')\].]*", re.I)
_NAME = r"[\s*#>_-]{0,8}(?:\d{1,2}[.)] )?[*_]{0,3}([^\W\d_][\w -]{0,60}?)[*_`]{0,3} ?[:：=][\s*_`]{0,5}"
_RUBRIC = re.compile(rf"{_NAME}{_NUMBER}{_END}", re.I)
_YES_NO = re.compile(rf"{_OPEN}(?:answer[\s:：*_]*)?(yes|no)\b(?=\s*(?:$|[.,;:!()*_`\"'\]\n–—-]))", re.I)
_TAG = re.compile(r"\[\[\s?([ABC])\s?\]\]", re.I)
_SINGLE_TAG = re.compile(r"\[\s?([ABC])\s?\]", re.I)
_RATED = re.compile(r"[\s*#_(\[]{0,6}(?:answer|text|response|output) {0,2}#?(\d{1,2})(?!\d)", re.I)
_RATING = re.compile(r"\brating[*_]{0,3} {0,3}[:：=][\s*_\[]{0,5}(\d{1,3}(?:\.\d+)?)(?!\d)(?:\s?/\s?(\d{1,3}))?", re.I)
_RANKING = re.compile(r"\[\[?\s?([A-Z](?: ?[>=] ?[A-Z])*)\s?\]\]?")
_WINNERS: dict[str, Winner] = {"A": "first", "B": "second", "C": "tie"}


class Instance(NamedTuple):
    """One example of a task; ``input`` is empty where the task needs none."""

    input: str
    output: str


class Score(NamedTuple):
    """A score and where its number starts in the text."""

    value: float
    start: int


def choose(name: str, parsers: Mapping[str, P], *, where: object) -> P:
    """The parser that a prompt file names. Raises ``ConfigError`` that lists those which fit."""
    if name not in parsers:
        raise ConfigError(f"prompt {where}: parser {name!r} does not fit here; allowed: {', '.join(parsers)}")
    return parsers[name]


def numbered_list(text: str, start: int = 1) -> list[str]:
    """The items of a numbered list, whitespace collapsed; prose around the list is left out.

    A numbered line opens an item, however the numbers run, unless it is of a list inside the open one: that begins at 1
    and goes on by 1, where the items' own numbers do not go on (at most two are skipped, and all may be equal). A blank
    line closes an item. A line that starts with ``2016.`` opens none. Where the prompt ended with the number ``start``,
    the reply may begin with that item's text.
    """
    items: list[list[str]] = []
    last, inner, is_open, prelude = 0, 0, False, list[str]()
    for line in text.splitlines():
        mark = _ITEM.match(line)
        number = int(mark.group(1)) if mark else -1
        if mark and is_open and number in (1, inner + 1) and not last <= number <= last + 3:
            inner = number
            items[-1].append(line)
        elif mark:
            if not items and prelude and number == start + 1:
                items.append(prelude)
            items.append([line[mark.end() :]])
            last, inner, is_open = number, 0, True
        elif not line.strip():
            is_open, prelude = False, []
        elif is_open:
            items[-1].append(line)
        else:
            prelude.append(line)
    return [joined for item in items if (joined := " ".join(" ".join(item).split()))]


def instances(text: str) -> list[Instance]:
    """The examples of a task: ``Input:``/``Output:`` fields, or ``Output:`` alone; none where no ``Output:`` is found.

    An ``Input:`` that says there is none (``None``, ``N/A``) is empty. Text outside the fields is left out.
    """
    found: list[Instance] = []
    fields: dict[str, list[str]] = {}
    current: list[str] = []
    for line in text.splitlines():
        mark = _FIELD.match(line)
        if mark is None:
            current.append(line)
            continue
        name = (mark.group(1) or mark.group(2)).lower()
        if "output" in fields:
            found.append(_instance(fields))
            fields = {}
        elif name == "example":
            fields = {}
        current = [line[mark.end() :]]
        if name != "example":
            fields[name] = current
    if "output" in fields:
        found.append(_instance(fields))
    return found


def _instance(fields: dict[str, list[str]]) -> Instance:
    return Instance(given_input("\n".join(fields.get("input", ()))), "\n".join(fields["output"]).strip())


def given_input(text: str) -> str:
    """An input as it was written; empty where it says that there is none (``None``, ``<noinput>``)."""
    absent = text.strip(" .<>[]()*\n").casefold() in {"", "none", "n/a", "no input", "noinput", "not applicable"}
    return "" if absent else text.strip()


def find_score_first(text: str) -> Score | None:
    """AlpaGasus's layout: the first line holds a number from 0 to 5, else the first ``score: x`` in the text."""
    lead = len(text) - len(text.lstrip())
    match = _FIRST_LINE.match(text[lead:].split("\n", 1)[0][:200])
    if match and (score := _score(match, lead)):
        return score
    return next((score for match in _NAMED.finditer(text) if (score := _score(match))), None)


def find_score_last(text: str) -> Score | None:
    """Reasons first: the last ``score: x`` in the text, else a number alone on the last line."""
    named = [score for match in _NAMED.finditer(text) if (score := _score(match))]
    if named:
        return named[-1]
    end = len(text.rstrip())
    start = text.rfind("\n", 0, end) + 1
    match = _ALONE.fullmatch(text[start:end]) if end - start < 200 else None
    return _score(match, start) if match else None


def _score(match: re.Match[str], offset: int = 0) -> Score | None:
    value, scale = float(match.group(1).replace(",", ".")), match.group(2)
    if value > 5 or (scale is not None and int(scale) != 5):
        return None
    return Score(value, offset + match.start(1))


def score_first(text: str) -> float | None:
    """The score of ``find_score_first``."""
    found = find_score_first(text)
    return found.value if found else None


def score_last(text: str) -> float | None:
    """The score of ``find_score_last``."""
    found = find_score_last(text)
    return found.value if found else None


def score_lines(text: str, names: Sequence[str]) -> dict[str, float] | None:
    """The score from 0 to 5 of each named rubric, on lines such as ``Accuracy: 4.5``.

    None where one has no line, two that differ, or a number out of range: no score is ever guessed.
    """
    found: dict[str, set[float]] = {}
    for line in text.splitlines():
        if match := _RUBRIC.match(line[:200]):
            value, scale = float(match.group(2).replace(",", ".")), match.group(3)
            is_score = value <= 5 and (scale is None or int(scale) == 5)
            found.setdefault(_rubric(match.group(1)), set()).add(value if is_score else math.nan)
    values = {name: found.get(_rubric(name), set()) for name in names}
    single = {name: next(iter(one)) for name, one in values.items() if len(one) == 1}
    return single if len(single) == len(values) and not any(map(math.isnan, single.values())) else None


def _rubric(name: str) -> str:
    return " ".join(name.casefold().replace("_", " ").split())


def verdict(text: str) -> Winner | None:
    """The last ``[[A]]``, ``[[B]]`` or ``[[C]]`` (tie), else the last one in single brackets (as FastChat does).

    None where its line names all three: that is the prompt, said again.
    """
    for pattern in (_TAG, _SINGLE_TAG):
        if tags := list(pattern.finditer(text)):
            start = text.rfind("\n", 0, tags[-1].start()) + 1
            names = {tag.group(1).upper() for tag in tags if tag.start() >= start}
            return _WINNERS[tags[-1].group(1).upper()] if len(names) < len(_WINNERS) else None
    return None


def ratings(text: str, count: int) -> list[float] | None:
    """The ``Rating:`` from 1 to 5 of each of ``count`` answers, under lines such as ``Answer 2``.

    None where one lacks a rating, has two that differ, or one that is out of range, and where an answer is rated that
    there is not: no rating is ever guessed.
    """
    found: dict[int, set[float]] = {}
    current = 0
    for line in text.splitlines():
        if head := _RATED.match(line):
            current = int(head.group(1))
        for match in _RATING.finditer(line):
            value, scale = float(match.group(1)), match.group(2)
            is_rating = 1 <= value <= 5 and (scale is None or int(scale) == 5)
            found.setdefault(current, set()).add(value if is_rating else math.nan)
    if any(number > count for number in found):
        return None
    values = [found.get(number, set()) for number in range(1, count + 1)]
    single = [next(iter(one)) for one in values if len(one) == 1]
    return single if len(single) == count and not any(map(math.isnan, single)) else None


def ranking(text: str, count: int) -> list[list[int]] | None:
    """The places of ``count`` answers, best first, from the last ``[[B > A = C]]``; equals share a group.

    None where it does not name each answer once.
    """
    lines = _RANKING.findall(text)
    if not lines:
        return None
    groups = [[ord(name.strip()) - ord("A") for name in group.split("=")] for group in lines[-1].split(">")]
    named = sorted(place for group in groups for place in group)
    return groups if named == list(range(count)) else None


def yes_no(text: str) -> bool | None:
    """What a reply that begins with Yes or No says; None where it begins otherwise ("No problem")."""
    match = _YES_NO.match(text[:200])
    return match.group(1).casefold() == "yes" if match else None


def text(reply: str) -> str:
    """The reply itself, without surrounding whitespace."""
    return reply.strip()


LISTS: dict[str, Callable[[str, int], list[str]]] = {"numbered_list": numbered_list}
INSTANCES: dict[str, Callable[[str], list[Instance]]] = {"instances": instances}
SCORES: dict[str, Callable[[str], Score | None]] = {"score_first": find_score_first, "score_last": find_score_last}
RUBRICS: dict[str, Callable[[str, Sequence[str]], dict[str, float] | None]] = {"score_lines": score_lines}
RATINGS: dict[str, Callable[[str, int], list[float] | None]] = {"ratings": ratings}
RANKINGS: dict[str, Callable[[str, int], list[list[int]] | None]] = {"ranking": ranking}
VERDICTS: dict[str, Callable[[str], Winner | None]] = {"verdict": verdict}
DECISIONS: dict[str, Callable[[str], bool | None]] = {"yes_no": yes_no}
TEXTS: dict[str, Callable[[str], str]] = {"text": text}
