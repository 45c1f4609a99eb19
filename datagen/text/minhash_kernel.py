"""MinHash signatures, bands and verification in machine code; ``minhash_numba.py`` owns the arrays and grows them.

See ``minhash.py`` for the method. All in one file: numba's cache notices changes in a function's own file only.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from datagen.text.machine_code import compiled
from datagen.text.ngram_kernel import Ints

Words = npt.NDArray[np.uint64]
Small = npt.NDArray[np.uint32]
Floats = npt.NDArray[np.float64]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX = np.uint64(0xD6E8FEB86659FD93)
ROWS, QUERY = range(2)


class Tables(NamedTuple):
    """What is known of the rows, their sets aside. In ``heads`` and ``links`` rows count from 1; 0: none."""

    threshold: float
    factors: Words
    """Of the hash functions, (bands, functions a band)."""
    addends: Words
    fill: Ints
    heads: Small
    """The newest row of each bucket, (bands, buckets)."""
    links: Small
    """Of each row and band a tag, whose low bits are its bucket, and the row before it there: (rows, bands, 2)."""
    ends: Ints
    """Where each row's set begins, and the last one ends."""
    stamps: Small
    """The last query (modulo 2^32) that a row was a candidate of."""


@compiled
def _hash(key: Any) -> Any:
    mixed = np.uint64(key) * _GOLDEN
    mixed = (mixed ^ (mixed >> np.uint64(32))) * _MIX
    return mixed ^ (mixed >> np.uint64(29))


@compiled
def _tags(ids: Ints, factors: Words, addends: Words, out: Small) -> None:
    """A tag of each band of the signature."""
    for band in range(factors.shape[0]):
        key = np.uint64(0)
        for at in range(factors.shape[1]):
            factor, addend, least = factors[band, at], addends[band, at], ~np.uint64(0)
            for one in ids:
                least = min(least, factor * np.uint64(one) + addend)
            key = np.uint64(_hash(key ^ (least >> np.uint64(32))) + np.uint64(1))
        out[band] = np.uint32(key >> np.uint64(32))


@compiled
def _shared(ids: Ints, other: Ints) -> int:
    """Elements in common, in both falling."""
    at, i, shared = 0, 0, 0
    while at < len(other) and i < len(ids):
        theirs, ours = other[at], ids[i]
        shared += theirs == ours
        at += theirs >= ours
        i += ours >= theirs
    return shared


@compiled
def _nearest(tables: Tables, sets: Ints, ids: Ints, tags: Small) -> tuple[int, float]:
    """The most similar row that agrees in a band and reaches the threshold, the first among equals; else -1."""
    heads, links, ends, stamps = tables.heads, tables.links, tables.ends, tables.stamps
    n, best, top = len(ids), -1, 0.0
    tables.fill[QUERY] += 1
    query = np.uint32(tables.fill[QUERY])
    for band in range(len(tags)):
        tag = tags[band]
        number = np.int64(heads[band, np.int64(tag) & (heads.shape[1] - 1)])
        while number:
            row = int(number) - 1
            number = np.int64(links[row, band, 1])
            if links[row, band, 0] != tag or stamps[row] == query:
                continue
            stamps[row] = query
            m = ends[row + 1] - ends[row]
            if min(n, m) < max(top, tables.threshold) * max(n, m) - 1e-9:
                continue
            shared = _shared(ids, sets[ends[row] : ends[row + 1]])
            score = shared / (n + m - shared)
            if score >= tables.threshold and (score > top or (score == top and row < best)):
                best, top = row, score
    return best, top


@compiled
def _link(tables: Tables, row: int) -> None:
    heads, links = tables.heads, tables.links
    for band in range(heads.shape[0]):
        bucket = np.int64(links[row, band, 0]) & (heads.shape[1] - 1)
        links[row, band, 1] = heads[band, bucket]
        heads[band, bucket] = np.uint32(row + 1)


@compiled
def _insert(tables: Tables, sets: Ints, ids: Ints, tags: Small) -> None:
    row = tables.fill[ROWS]
    begin = tables.ends[row]
    for at in range(len(ids)):
        sets[begin + at] = ids[at]
    tables.ends[row + 1] = begin + len(ids)
    tables.fill[ROWS] += 1
    if len(ids):
        for band in range(len(tags)):
            tables.links[row, band, 0] = tags[band]
        _link(tables, row)


@compiled
def link_all(tables: Tables) -> None:
    """Fill in new buckets."""
    for row in range(tables.fill[ROWS]):
        if tables.ends[row + 1] > tables.ends[row]:
            _link(tables, row)


@compiled
def insert_all(tables: Tables, sets: Ints, flat: Ints, ends: Ints) -> None:
    """Add rows, for which there is room."""
    tags = np.empty(tables.factors.shape[0], np.uint32)
    for at in range(len(ends)):
        ids = flat[ends[at - 1] if at else 0 : ends[at]]
        _tags(ids, tables.factors, tables.addends, tags)
        _insert(tables, sets, ids, tags)


@compiled
def admit_all(tables: Tables, sets: Ints, flat: Ints, ends: Ints, near: Ints, scores: Floats) -> None:
    """Judge rows, for which there is room, in turn, and add each for which nothing (-1) is near."""
    tags = np.empty(tables.factors.shape[0], np.uint32)
    for at in range(len(ends)):
        ids = flat[ends[at - 1] if at else 0 : ends[at]]
        near[at], scores[at] = -1, 0.0
        if len(ids):
            _tags(ids, tables.factors, tables.addends, tags)
            near[at], scores[at] = _nearest(tables, sets, ids, tags)
        if near[at] < 0:
            _insert(tables, sets, ids, tags)
