"""The Jaccard pool in machine code."""

from __future__ import annotations

from collections.abc import Sequence

from datagen.text.join_index import JoinIndex
from datagen.text.join_kernel import SETS
from datagen.text.ngram_sets import hashed
from datagen.text.ngrams import Unit


class NumbaIndex:
    """Sets of n-gram hashes. See ``jaccard.Index``."""

    def __init__(self, threshold: float, unit: Unit, size: int) -> None:
        self._sets, self._size = hashed(unit), size
        self._join = JoinIndex(SETS, threshold)

    def fill(self, texts: Sequence[str]) -> None:
        """Add texts."""
        self._join.fill(*self._sets(texts, self._size))

    def admit(self, texts: Sequence[str]) -> list[tuple[int, float] | None]:
        """For each in turn its nearest at or above the threshold; where there is none, the text is added."""
        return self._join.admit(*self._sets(texts, self._size))
