"""What must not be passed on, found in all of a record's texts; shown without saying it, or masked."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from typing import Any, Literal, NamedTuple

import msgspec

from datagen.record import Record

Action = Literal["drop", "mask"]


class Finding(NamedTuple):
    """What kind of thing stands from ``start`` to ``end`` of a text."""

    kind: str
    start: int
    end: int


Place = tuple[str, ...]
"""A part of a record and the keys that lead into it."""

Finder = Callable[[str], list[Finding]]
"""Findings in their order; none overlaps another."""


def judged(record: Record, find: Finder, *, stage: str, action: Action) -> Record:
    """The record; if ``find`` finds anything in it, dropped with what and where, or a child with ``<KIND>`` instead.

    The evidence names the kind, where it stands and its first two characters; the child is labelled with the kinds.
    """
    found = [(where, text, finding) for where, text in _texts(record) for finding in find(text)]
    if not found:
        return record
    kinds = dict(sorted(Counter(finding.kind for _, _, finding in found).items()))
    if action == "drop":
        shown = [_shown(where, text, finding, find) for where, text, finding in found[:10]]
        return record.drop(f"{stage}:{found[0][2].kind}", found=kinds, shown=shown)
    return _masked(record, find).labelled(**{stage: kinds})


def masked(text: str, found: Iterable[Finding]) -> str:
    """The text with each finding replaced.

    >>> masked("Write to ann@home.org!", [Finding("email", 9, 21)])
    'Write to <EMAIL>!'
    """
    parts, end = [], 0
    for finding in found:
        parts += [text[end : finding.start], f"<{finding.kind.upper()}>"]
        end = finding.end
    return "".join((*parts, text[end:]))


def _masked(record: Record, find: Finder) -> Record:
    def clean(value: Any) -> Any:
        if isinstance(value, str):
            return masked(value, find(value))
        if isinstance(value, dict):
            return {clean(key): clean(item) for key, item in value.items()}
        return [clean(item) for item in value] if isinstance(value, list | tuple) else value

    replace = msgspec.structs.replace
    answers = (replace(answer, content=clean(answer.content), notes=clean(answer.notes)) for answer in record.answers)
    prompt = tuple(replace(message, content=clean(message.content)) for message in record.prompt)
    return replace(record, prompt=prompt, answers=tuple(answers), labels=clean(record.labels), parents=(record.id,))


def _texts(record: Record) -> Iterator[tuple[Place, str]]:
    """Every text of a record, with its place; labels too, since exports write them."""
    for at, message in enumerate(record.prompt):
        yield (f"prompt[{at}]",), message.content
    for at, answer in enumerate(record.answers):
        yield from _strings((f"answers[{at}]",), answer.content)
        yield from _strings((f"answers[{at}]", "notes"), answer.notes)
    yield from _strings(("labels",), record.labels)


def _strings(where: Place, value: Any) -> Iterator[tuple[Place, str]]:
    if isinstance(value, str):
        yield where, value
    elif isinstance(value, dict):
        for key, item in value.items():
            yield (*where, "(a key)"), str(key)
            yield from _strings((*where, str(key)), item)
    elif isinstance(value, list | tuple):
        for at, item in enumerate(value):
            yield from _strings((*where, str(at)), item)


def _shown(where: Place, text: str, finding: Finding, find: Finder) -> dict[str, Any]:
    """The place is made of the record's own keys, which may be what must not be passed on."""
    start, end = finding.start, finding.end
    return {
        "kind": finding.kind,
        "in": ".".join(masked(part, find(part)) for part in where)[:80],
        "at": start,
        "length": end - start,
        "opening": f"{text[start : start + 2]}…",
    }
