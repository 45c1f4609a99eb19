"""The Jaccard pool in machine code."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from itertools import accumulate

import numpy as np

from datagen.text import ngram_kernel as kernel
from datagen.text.join_index import JoinIndex
from datagen.text.join_kernel import SETS, Ints
from datagen.text.ngrams import Unit, characters, word_bytes


class NumbaIndex:
    """Sets of n-gram hashes. See ``jaccard.Index``."""

    def __init__(self, threshold: float, unit: Unit, size: int) -> None:
        self._sets: Callable[[Sequence[str], int], tuple[Ints, Ints]] = (
            _word_sets if unit == "word" else _character_sets
        )
        self._size = size
        self._join = JoinIndex(SETS, threshold)

    def fill(self, texts: Sequence[str]) -> None:
        """Add texts."""
        self._join.fill(*self._sets(texts, self._size))

    def admit(self, texts: Sequence[str]) -> list[tuple[int, float] | None]:
        """For each in turn its nearest at or above the threshold; where there is none, the text is added."""
        return self._join.admit(*self._sets(texts, self._size))


def _word_sets(texts: Sequence[str], size: int) -> tuple[Ints, Ints]:
    encoded = [word_bytes(text) for text in texts]
    ends, set_ends = _ends(encoded), np.empty(len(texts), np.int64)
    joined = np.frombuffer(b"".join(encoded), np.uint8)
    flat = np.empty(len(joined) // 2 + len(texts), np.int64)
    kernel.word_ngram_sets(joined, ends, size, flat, set_ends)
    return flat, set_ends


def _character_sets(texts: Sequence[str], size: int) -> tuple[Ints, Ints]:
    cleaned = [characters(text) for text in texts]
    ends, set_ends = _ends(cleaned), np.empty(len(texts), np.int64)
    points = np.frombuffer("".join(cleaned).encode("utf-32-le", "surrogatepass"), np.uint32).astype(np.int64)
    flat = np.empty(len(points), np.int64)
    kernel.ngram_sets(points, ends, size, flat, set_ends)
    return flat, set_ends


def _ends(parts: Sequence[str | bytes]) -> Ints:
    return np.fromiter(accumulate(map(len, parts)), np.int64, len(parts))
