"""Near-duplicates by the Jaccard similarity of their n-grams: what MinHash (Lee et al., arXiv 2107.06499) estimates."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Literal

from datagen.filters.duplicates import Keep, novel, preferring
from datagen.record import Record
from datagen.stage import Rows
from datagen.text.jaccard import check_sets, jaccard_pool
from datagen.text.minhash import bands_and_rows, minhash_pool
from datagen.text.ngrams import Unit
from datagen.text.words import Scope

Search = Literal["exact", "minhash"]
_POOLS = {"exact": jaccard_pool, "minhash": minhash_pool}


def dedup_ngram(
    records: Iterable[Record],
    *,
    threshold: float = 0.7,
    ngram: int = 5,
    unit: Unit = "word",
    scope: Scope = "all",
    keep: Keep = "first",
    against: Rows | None = None,
    search: Search = "exact",
) -> Iterator[Record]:
    """Records that share less than ``threshold`` of their n-grams with any that was kept, or that ``against`` holds.

    The others carry their nearest: its text (``neighbour``), its id (``first``) and the ``similarity``; rows of one
    cluster thus name the row that stayed. Similarity is shared / all distinct n-grams of the two, exact, and at the
    threshold a row goes. ``keep`` says which of similar rows stays: they are judged in that order, and a dropped row is
    no neighbour of later ones. Holds the n-grams of all that it kept; ``search: minhash``
    keeps them in a temporary file and holds at most 321 bytes a row (at 0.7). It finds at least 99 % of what is at the
    threshold, and more of what is above it; no row goes that is not as similar as it says.
    """
    pool = _POOLS[search](threshold, unit, ngram)

    def first_stays(rows: Iterable[Record]) -> Iterator[Record]:
        return novel(rows, pool, reason="dedup_ngram:similar", scope=scope, against=against or ())

    return preferring(records, keep, first_stays)


def check(arguments: dict[str, Any]) -> None:
    """Raises ``ConfigError`` for a threshold or length that no n-gram can have, or that MinHash does not reach."""
    check_sets(arguments["threshold"], arguments["unit"], arguments["ngram"])
    if arguments["search"] == "minhash":
        bands_and_rows(arguments["threshold"])
