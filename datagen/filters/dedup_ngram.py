"""Near-duplicates by the Jaccard similarity of their n-grams: what MinHash (Lee et al., arXiv 2107.06499) estimates."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from datagen.filters.duplicates import Keep, novel, preferring
from datagen.record import Record
from datagen.stage import Rows
from datagen.text.jaccard import jaccard_pool
from datagen.text.ngrams import Unit
from datagen.text.words import Scope


def dedup_ngram(
    records: Iterable[Record],
    *,
    threshold: float = 0.7,
    ngram: int = 5,
    unit: Unit = "word",
    scope: Scope = "all",
    keep: Keep = "first",
    against: Rows | None = None,
) -> Iterator[Record]:
    """Records that share less than ``threshold`` of their n-grams with any that was kept, or that ``against`` holds.

    The others carry their nearest: its text (``neighbour``), its id (``first``) and the ``similarity``; rows of one
    cluster thus name the row that stayed. Similarity is shared / all distinct n-grams of the two, exact, and at the
    threshold a row goes. ``keep`` says which of similar rows stays: they are judged in that order, and a dropped row is
    no neighbour of later ones. Holds the n-grams of all that it kept.
    """
    pool = jaccard_pool(threshold, unit, ngram)

    def first_stays(rows: Iterable[Record]) -> Iterator[Record]:
        return novel(rows, pool, reason="dedup_ngram:similar", scope=scope, against=against or ())

    return preferring(records, keep, first_stays)


def check(arguments: dict[str, Any]) -> None:
    """Raises ``ConfigError`` for a threshold or length that no n-gram can have."""
    jaccard_pool(arguments["threshold"], arguments["unit"], arguments["ngram"], "portable")
