"""The n-grams of texts as hashes, in machine code by numba.

All in one file: numba's cache notices changes in a function's own file only.
"""

from __future__ import annotations

from typing import Any

import numpy as np
import numpy.typing as npt

from datagen.text.machine_code import compiled

Ints = npt.NDArray[np.int64]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX = np.uint64(0xD6E8FEB86659FD93)
_SIGN = np.uint64(1 << 63)


@compiled
def _hash(key: Any) -> Any:
    mixed = np.uint64(key) * _GOLDEN
    mixed = (mixed ^ (mixed >> np.uint64(32))) * _MIX
    return mixed ^ (mixed >> np.uint64(29))


@compiled
def _bucket(key: int, buckets: int) -> Any:
    """Where a hash belongs among as many, falling."""
    high = (np.uint64(key) ^ _SIGN) >> np.uint64(32)
    return buckets - 1 - np.int64(high * np.uint64(buckets) >> np.uint64(32))


@compiled
def _sort_down(keys: Ints, starts: Ints, work: Ints) -> None:
    """Sort hashes, falling: each goes near its place at once, since hashes are spread evenly; then by insertion.

    ``starts`` has room for one more than the keys, ``work`` for as many.
    """
    n = len(keys)
    starts[: n + 1] = 0
    for at in range(n):
        work[at] = keys[at]
        starts[_bucket(keys[at], n) + 1] += 1
    for at in range(n):
        starts[at + 1] += starts[at]
    for at in range(n):
        bucket = _bucket(work[at], n)
        keys[starts[bucket]] = work[at]
        starts[bucket] += 1
    for i in range(1, n):
        key, j = keys[i], i
        while j and keys[j - 1] < key:
            keys[j] = keys[j - 1]
            j -= 1
        keys[j] = key


@compiled
def word_hashes(text: npt.NDArray[np.uint8], out: Ints) -> int:
    """A hash of each run of bytes other than spaces; their number."""
    words, inside, mixed = 0, False, np.uint64(0)
    for byte in text:
        if byte != 32:
            mixed = (mixed ^ np.uint64(byte)) * _MIX if inside else (_GOLDEN ^ np.uint64(byte)) * _MIX
            inside = True
        elif inside:
            out[words] = np.int64(_hash(mixed))
            words, inside = words + 1, False
    if inside:
        out[words] = np.int64(_hash(mixed))
        words += 1
    return words


@compiled
def ngram_sets(tokens: Ints, ends: Ints, size: int, flat: Ints, set_ends: Ints) -> None:
    """Hashes of the distinct runs of ``size`` tokens of each text, falling, into ``flat``; where each ends."""
    filled, longest = 0, 0
    for text in range(len(ends)):
        longest = max(longest, ends[text] - (ends[text - 1] if text else 0))
    starts, work = np.empty(longest + 1, np.int64), np.empty(longest, np.int64)
    for text in range(len(ends)):
        first, end = ends[text - 1] if text else 0, ends[text]
        last = max(end - size, first) if end > first else first - 1
        begin = filled
        for at in range(first, last + 1):
            mixed = _GOLDEN
            for token in tokens[at : min(at + size, end)]:
                mixed = (mixed + np.uint64(token)) * _MIX
            flat[filled] = np.int64(_hash(mixed))
            filled += 1
        _sort_down(flat[begin:filled], starts, work)
        unique = begin
        for at in range(begin, filled):
            if at == begin or flat[at] != flat[unique - 1]:
                flat[unique] = flat[at]
                unique += 1
        set_ends[text] = filled = unique


@compiled
def word_ngram_sets(text: npt.NDArray[np.uint8], ends: Ints, size: int, flat: Ints, set_ends: Ints) -> None:
    """As ``ngram_sets``, of the words of texts; ``flat`` has room for every second byte and one more a text."""
    words, word_ends = np.empty(len(flat), np.int64), np.empty(len(ends), np.int64)
    filled = 0
    for at in range(len(ends)):
        filled += word_hashes(text[ends[at - 1] if at else 0 : ends[at]], words[filled:])
        word_ends[at] = filled
    ngram_sets(words, word_ends, size, flat, set_ends)
