"""The novelty pool's index in machine code."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import accumulate, chain

import numpy as np

from datagen.text.join_index import JoinIndex
from datagen.text.join_kernel import LISTS, Ints


class NumbaIndex:
    """Lists of token ids, found again by ROUGE-L F. See ``rouge.Index``."""

    name = "numba"

    def __init__(self, threshold: float) -> None:
        self._join = JoinIndex(LISTS, threshold)

    def fill(self, lists: Iterable[list[int]]) -> None:
        """Add lists."""
        self._join.fill(*_flat(list(lists)))

    def near(self, ids: list[int]) -> list[tuple[int, float]]:
        """Index and F of every list at or above the threshold, in order."""
        return self._join.near(np.array(ids, np.int64))

    def closest(self, ids: list[int]) -> tuple[int, float] | None:
        """Index and F of the most similar list, the first among equals; None if nothing is shared."""
        return self._join.closest(np.array(ids, np.int64))

    def admit(self, lists: Sequence[list[int]]) -> list[tuple[int, float] | None]:
        """For each list in turn the nearest above the threshold; where there is none, the list is added."""
        return self._join.admit(*_flat(lists))


def _flat(lists: Sequence[list[int]]) -> tuple[Ints, Ints]:
    """All ids behind one another, and where each list ends."""
    ends = np.fromiter(accumulate(map(len, lists)), np.int64, len(lists))
    return np.fromiter(chain.from_iterable(lists), np.int64), ends
