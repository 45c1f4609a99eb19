"""Rows in blocks: a source, and the filters after it that judge each row alone, in one pass over every row.

A row is decoded once, goes through all filters, and is encoded once, where a filter changed it or the source made it;
what a filter keeps as it is, is known by its place. ``datagen.workers`` does this in several processes.
"""

from __future__ import annotations

import contextlib
import itertools
import operator
import time
from collections import Counter, deque
from collections.abc import Callable, Iterator, Sequence
from typing import Any, NamedTuple, TypeVar

from datagen.errors import DatagenError
from datagen.record import Record, encode
from datagen.stage import EachAlone

T = TypeVar("T")


class Filter(NamedTuple):
    """A stage that judges each row alone: its name in the pipeline, its function and all that it takes."""

    name: str
    function: Callable[..., EachAlone]
    arguments: dict[str, Any]


class Course(NamedTuple):
    """What rows go through: how a block of them is read, and the filters in order.

    ``makes_rows``: the reader is a stage of its own, whose rows and drops count; else it reads rows that are stored.
    """

    read: Callable[[Any], list[Record]]
    filters: tuple[Filter, ...]
    makes_rows: bool


class Verdict(NamedTuple):
    """What one stage made of a block.

    Its kept rows are ``lines``, or where that is None the lines of the stage before without those at ``cut``. No line
    has its last line feed. ``errors`` is the first of each reason that came with one.
    """

    read: int
    kept: int
    lines: bytes | None
    cut: list[int]
    dropped: list[bytes]
    reasons: dict[str, int]
    errors: dict[str, str]
    parts: dict[str, int]
    seconds: float


def judge_of(course: Course) -> Callable[[Any], list[Verdict]]:
    """The function that gives a block's verdicts, stage by stage. It calls each filter once, for all blocks."""
    waiting: list[deque[Record]] = [deque() for _ in course.filters]
    streams = [
        one.function(iter(rows.popleft, None), **one.arguments)
        for one, rows in zip(course.filters, waiting, strict=True)
    ]

    def judge(block: Any) -> list[Verdict]:
        started = time.perf_counter()
        rows, verdicts = course.read(block), list[Verdict]()
        if course.makes_rows:
            rows, verdict = _parted(None, rows, None, started)
            verdicts.append(verdict)
        for one, todo, stream in zip(course.filters, waiting, streams, strict=True):
            started = time.perf_counter()
            todo.extend(rows)
            with _named(one.name, rows, todo):
                made = list(itertools.islice(stream, len(rows)))
                assert len(made) == len(rows), "it lost rows"
                assert not todo, "it yields a row before it has taken it"
            rows, verdict = _parted(rows, made, verdicts[-1] if verdicts else None, started)
            verdicts.append(verdict)
        return verdicts

    return judge


def _parted(
    given: Sequence[Record] | None, made: list[Record], before: Verdict | None, started: float
) -> tuple[list[Record], Verdict]:
    """The kept ones of the rows that a stage made, of ``given`` or from nothing, and its verdict."""
    cut = [at for at, record in enumerate(made) if record.dropped is not None]
    kept = without(made, cut)
    dropped = [encode(made[at]) for at in cut]
    drops = [drop for at in cut if (drop := made[at].dropped) is not None]
    reasons = Counter(drop.reason for drop in drops)
    errors = {drop.reason: str(error) for drop in reversed(drops) if (error := drop.evidence.get("error"))}
    is_same = given is not None and all(map(operator.is_, without(given, cut), kept))
    parts: dict[str, int] = {}
    if not is_same or before is None or before.parts:
        parts = Counter(part for record in kept if isinstance(part := record.labels.get("split"), str))
    lines = None if is_same else b"\n".join(map(encode, kept))  # one text: many small ones are slow to hand over
    seconds = time.perf_counter() - started
    counted = dict(reasons), errors, dict(parts)
    return kept, Verdict(len(given or ()), len(kept), lines, cut, dropped, *counted, seconds)


def without(rows: Sequence[T], cut: Sequence[int]) -> list[T]:
    """The rows that do not stand at ``cut``."""
    left = list(rows)
    for at in reversed(cut):
        del left[at]
    return left


@contextlib.contextmanager
def _named(stage: str, rows: Sequence[Record], todo: Sequence[Record]) -> Iterator[None]:
    """An error in a filter's code keeps its traceback and says which stage and row it met."""
    try:
        yield
    except (DatagenError, OSError):
        raise
    except Exception as error:
        taken = len(rows) - len(todo)
        row = f", on row {rows[taken - 1].id}" if taken else ""
        error.add_note(f"in stage {stage}{row}; nothing that was paid for is lost")
        raise
