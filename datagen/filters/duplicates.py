"""What the dedup filters share: which of several similar rows stays, and judging rows in blocks."""

from __future__ import annotations

import itertools
import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from typing import Literal, Protocol

from datagen.record import Record
from datagen.text.words import Scope, scoped

logger = logging.getLogger("datagen")

Keep = Literal["first", "longest", "best-scored"]
"""Which of several similar rows stays. But for ``first`` all rows are held, and judged in order of preference."""

_BLOCK = 1024


class Pool(Protocol):
    """Texts in the order in which they came in, and for a new one its nearest among them."""

    def fill(self, texts: Sequence[str]) -> None:
        """Add texts unseen."""

    def admit(self, texts: Sequence[str]) -> list[tuple[int, float] | None]:
        """For each in turn the index of its nearest and their similarity; None: it is novel, and added."""


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
    is judged once. Says at the end how many clusters there were: the rows that name one ``first``, and that row. Reads
    ``_BLOCK`` rows ahead; holds the texts of all that it kept.
    """
    known = [(scoped(record, scope), record.id, record.source or "against") for record in against]
    pool.fill([text for text, _, _ in known])
    clusters: Counter[int] = Counter()
    judged: dict[str, int] = {}
    verdicts: list[tuple[int, float] | None] = []
    seen: set[str] = set()
    rows = iter(records)
    while block := list(itertools.islice(rows, _BLOCK)):
        texts, verdict_of = [scoped(record, scope) for record in block], []
        new: list[int] = []
        for at, (record, text) in enumerate(zip(block, texts, strict=True)):
            whole = scoped(record, "instruction") if scope == "task" else text
            if text not in judged or whole in seen:
                judged[text] = len(verdicts) + len(new)
                new.append(at)
            seen.add(whole)
            verdict_of.append(judged[text])
        found = pool.admit([texts[at] for at in new])
        known += [(texts[at], block[at].id, "") for at, near in zip(new, found, strict=True) if near is None]
        verdicts += found
        for record, at in zip(block, verdict_of, strict=True):
            if (near := verdicts[at]) is None:
                yield record
                continue
            clusters[near[0]] += 1
            yield _dropped(record, reason, near[1], *known[near[0]])
    tell({known[at][1]: size for at, size in clusters.items()}, reason)


def tell(clusters: Mapping[str, int], reason: str) -> None:
    """Log how many rows were like how many others, and the largest cluster; by the id that rows name as ``first``."""
    if clusters:
        largest = max(clusters, key=lambda id: clusters[id])
        text = "%s: %d rows in %d clusters, each around the row they name; the largest: %d around %s"
        logger.info(text, reason, sum(clusters.values()), len(clusters), clusters[largest], largest)


def _dropped(record: Record, reason: str, similarity: float, text: str, id: str, source: str) -> Record:
    where = {"source": source} if source else {}
    return record.drop(reason, similarity=similarity, neighbour=text, first=id, **where)


def _characters(record: Record) -> float:
    return len(scoped(record, "all"))


def _score(record: Record) -> float:
    scores = record.answers[0].scores.values() if record.answers else ()
    return sum(scores) / len(scores) if scores else float("-inf")
