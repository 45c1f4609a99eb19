"""Texts as sets of the hashes of their n-grams: one array behind one another, and where each set ends."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from itertools import accumulate

import numpy as np

from datagen.text import ngram_kernel as kernel
from datagen.text.ngram_kernel import Ints
from datagen.text.ngrams import Unit, all_word_bytes, characters

Hashed = Callable[[Sequence[str], int], tuple[Ints, Ints]]


def hashed(unit: Unit) -> Hashed:
    """Texts and the size of an n-gram to the sets, each falling."""
    return _word_sets if unit == "word" else _character_sets


def _word_sets(texts: Sequence[str], size: int) -> tuple[Ints, Ints]:
    encoded, lengths = all_word_bytes(texts)
    ends, set_ends = _ends(lengths), np.empty(len(texts), np.int64)
    joined = np.frombuffer(encoded, np.uint8)
    flat = np.empty(len(joined) // 2 + len(texts), np.int64)
    kernel.word_ngram_sets(joined, ends, size, flat, set_ends)
    return flat, set_ends


def _character_sets(texts: Sequence[str], size: int) -> tuple[Ints, Ints]:
    cleaned = [characters(text) for text in texts]
    ends, set_ends = _ends(map(len, cleaned)), np.empty(len(texts), np.int64)
    points = np.frombuffer("".join(cleaned).encode("utf-32-le", "surrogatepass"), np.uint32).astype(np.int64)
    flat = np.empty(len(points), np.int64)
    kernel.ngram_sets(points, ends, size, flat, set_ends)
    return flat, set_ends


def _ends(lengths: Iterable[int]) -> Ints:
    return np.fromiter(accumulate(lengths), np.int64)
