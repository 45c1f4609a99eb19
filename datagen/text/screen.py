"""Which texts can share a run of ``words`` with others, told so fast that only those need an exact look.

A text is cut into pieces more finely than ``words`` does: runs of digits, runs of letters, single characters of
unspaced scripts, single signs of those that are always words; other signs are left out. Equal runs of words are then
equal runs of pieces, in whatever way they were spaced. So a text that shares no such run of pieces, by a 64-bit hash,
shares no run of words: the screen may suspect too many (all, where a run is nothing but signs that are left out), never
too few.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from itertools import accumulate

import numpy as np

from datagen.text import screen_kernel as kernel
from datagen.text.words import UNSPACED, spaced

_KEPT = kernel.SIGNS + b"_"
_ASCII = bytes(byte if byte >= 128 or chr(byte).isalnum() or byte in _KEPT else 32 for byte in range(256))
_ALONE = re.compile(rf"[{UNSPACED}]|\d+")


_LENGTHS = np.array([0, 1, 2, 3, 5, 8, 13])
"""Runs are known by at most as many of their first pieces: a few lengths are faster to look up than all."""


class Screen:
    """Knows runs of words."""

    def __init__(self, runs: Sequence[tuple[Sequence[str], int]], longest: int) -> None:
        """``runs`` holds the words of each text, and how long its runs are, which is at most ``longest``."""
        lengths = _LENGTHS[longest >= _LENGTHS]
        most = sum(max(len(words) - size + 1, 0) for words, size in runs)
        self._table = np.zeros(1 << (2 * most + 1).bit_length(), np.uint64)
        self._sieve = np.zeros(max(1, len(self._table) // 16), np.uint64)
        seen = np.zeros(len(lengths), np.bool_)
        for words, size in runs:
            counts = [1 if word.isascii() and (word.isalpha() or word.isdigit()) else _count(word) for word in words]
            offsets = np.fromiter(accumulate(counts, initial=0), np.int64, len(words) + 1)
            begins = offsets[: len(offsets) - size]
            kinds = np.searchsorted(lengths, offsets[size:] - begins, side="right") - 1
            seen[kinds] = True
            text = np.frombuffer(_pieces(" ".join(words)), np.uint8)
            kernel.learn(text, begins, begins + lengths[kinds], self._table, self._sieve)
        self._lengths = lengths[seen]

    def suspects(self, texts: Sequence[str]) -> list[bool]:
        """For each text whether it may share a run; so may any without a piece."""
        encoded = [_pieces(text) for text in texts]
        ends = np.fromiter(accumulate(map(len, encoded)), np.int64, len(encoded))
        found = np.empty(len(encoded), np.bool_)
        joined = np.frombuffer(b"".join(encoded), np.uint8)
        kernel.suspects(joined, ends, self._table, self._sieve, self._lengths, found)
        flags: list[bool] = found.tolist()
        return flags


def _pieces(text: str) -> bytes:
    """Pieces parted by spaces, but for ASCII digits that touch letters: the kernel parts those."""
    return spaced(text, _ALONE).encode("utf-8", "surrogatepass").translate(_ASCII)


def _count(word: str) -> int:
    encoded = np.frombuffer(_pieces(word), np.uint8)
    return kernel.piece_hashes(encoded, np.empty(len(encoded), np.uint64))
