"""What the dedup filters share: which of several similar rows stays, and judging rows in blocks."""

from __future__ import annotations

import contextlib
import hashlib
import itertools
from collections.abc import Callable, Iterable, Iterator, Sequence
from typing import Literal, Protocol

from datagen.filters.clusters import Clusters
from datagen.record import Record
from datagen.text.engine import Near
from datagen.text.kept_texts import Kept, KeptTexts
from datagen.text.words import Scope, scoped

Keep = Literal["first", "longest", "best-scored"]
"""Which of several similar rows stays. But for ``first`` all rows are held, and judged in order of preference."""

_BLOCK = 1024


class Pool(Protocol):
    """Texts in the order in which they came in, and for a new one its nearest among them."""

    def fill(self, texts: Sequence[str]) -> None:
        """Add texts unseen."""

    def admit(self, texts: Sequence[str]) -> list[Near | None]:
        """For each in turn the index of its nearest and their similarity; None: it is novel, and added."""


_Judge = Callable[[Sequence[Record], Sequence[str]], tuple[list[Near | None], Iterable[bool]]]


def preferring(
    records: Iterable[Record], keep: Keep, first_stays: Callable[[Iterable[Record]], Iterator[Record]]
) -> Iterator[Record]:
    """Rows in their order, judged by ``first_stays`` in order of preference; among equals the earlier comes first.

    ``longest`` goes by the characters of prompt and first answer, ``best-scored`` by the mean of the first answer's
    scores, where no score is the lowest.
    """
    if keep == "first":
        yield from first_stays(records)
        return
    held = list(records)
    value = _characters if keep == "longest" else _score
    order = sorted(range(len(held)), key=lambda at: -value(held[at]))
    judged = dict(zip(order, first_stays(held[at] for at in order), strict=True))
    yield from (judged[at] for at in range(len(held)))


def novel(
    records: Iterable[Record], pool: Pool, *, reason: str, scope: Scope, against: Iterable[Record]
) -> Iterator[Record]:
    """Rows that are novel to ``against`` and to what was kept; the others are dropped with their nearest.

    Evidence: ``similarity``, the ``neighbour``'s text and id (``first``), and where it stands in ``against`` the
    ``source`` it has there. Rows of one task with different inputs (scope ``task``) stand or fall together: the task
    is judged once. Reports clusters at the end: the rows that name one ``first``, and that row. Reads ``_BLOCK`` rows
    ahead; what was kept lies on disk, but for what the pool holds and, for scope ``task``, two digests a row.
    """
    clusters = Clusters(reason)
    with contextlib.closing(KeptTexts()) as known:
        held = iter(against)
        while block := list(itertools.islice(held, _BLOCK)):
            pool.fill([scoped(record, scope) for record in block])
            for record in block:
                known.append(scoped(record, scope), record.id, record.source or "against")
        judge = _Tasks(pool).judge if scope == "task" else _all_new(pool)
        rows = iter(records)
        while block := list(itertools.islice(rows, _BLOCK)):
            texts = [scoped(record, scope) for record in block]
            verdicts, is_new = judge(block, texts)
            for record, text, near, new in zip(block, texts, verdicts, is_new, strict=True):
                if near is None and new:
                    known.append(text, record.id)
            for record, near in zip(block, verdicts, strict=True):
                yield record if near is None else _dropped(record, reason, near[1], known[near[0]], clusters)
    clusters.report()


def _all_new(pool: Pool) -> _Judge:
    return lambda block, texts: (pool.admit(texts), itertools.repeat(True, len(texts)))


class _Tasks:
    """Judges a task once, whatever its inputs; a row that is a copy as a whole is judged anew."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool
        self._verdicts: dict[bytes, Near | None] = {}
        self._seen: set[bytes] = set()

    def judge(self, block: Sequence[Record], texts: Sequence[str]) -> tuple[list[Near | None], list[bool]]:
        """The verdict on each row's task, and whether it was made for this row."""
        keys, is_new, here = [_digest(text) for text in texts], list[bool](), set[bytes]()
        numbers, latest = list[int](), dict[bytes, int]()
        for at, (record, key, text) in enumerate(zip(block, keys, texts, strict=True)):
            whole = scoped(record, "instruction")
            whole_key = key if whole == text else _digest(whole)
            is_new.append((key not in self._verdicts and key not in here) or whole_key in self._seen)
            here.add(key)
            self._seen.add(whole_key)
            if is_new[-1]:
                latest[key] = at
            numbers.append(latest.get(key, -1))
        found = iter(self._pool.admit([text for text, new in zip(texts, is_new, strict=True) if new]))
        made = {at: next(found) for at, new in enumerate(is_new) if new}
        verdicts = [
            made[number] if number >= 0 else self._verdicts[key] for number, key in zip(numbers, keys, strict=True)
        ]
        self._verdicts.update((key, made[at]) for key, at in latest.items())
        return verdicts, is_new


def _digest(text: str) -> bytes:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def _dropped(record: Record, reason: str, similarity: float, near: Kept, clusters: Clusters) -> Record:
    clusters.add(near.id, near.text)
    where = {"source": near.source} if near.source else {}
    return record.drop(reason, similarity=similarity, neighbour=near.text, first=near.id, **where)


def _characters(record: Record) -> float:
    return len(scoped(record, "all"))


def _score(record: Record) -> float:
    scores = record.answers[0].scores.values() if record.answers else ()
    return sum(scores) / len(scores) if scores else float("-inf")
