"""Texts found again by Jaccard similarity through MinHash, for what exact search has no memory for.

A text's signature are the least values of k hash functions over its n-grams (Broder 1997); two texts agree in one with
a probability that is their Jaccard similarity s. Signatures are cut into b bands of r, and texts that agree in a band
are candidates: with a probability of 1 - (1 - s^r)^b (Lee et al., arXiv 2107.06499, appendix A). r is the greatest
with which the fewest bands that find a pair at the threshold with ``RECALL`` need at most ``MOST`` functions; at 0.7
b is 17 and r is 4. What is more similar is found with a higher probability, at 0.8 with 0.9998.

Deviation: each candidate is verified by its n-grams, which lie on disk, so that nothing is found that exact search
would not find. In memory are 12 to 18 bytes a band for each text and 12 to 15 more, at 0.7 from 216 to 321.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from math import ceil, log

from datagen.errors import ConfigError
from datagen.text.engine import Engine, Near, numba_is_wanted
from datagen.text.jaccard import Index, check_sets
from datagen.text.mapped_file import MappedFile
from datagen.text.ngrams import Unit, ngram_hashes
from datagen.text.ngrams import mixed as _mixed

RECALL, MOST = 0.99, 128
_WORD = 2**64 - 1


def minhash_pool(threshold: float, unit: Unit, size: int, engine: Engine = "auto") -> Index:
    """An empty pool; the engines give the same answers."""
    check_sets(threshold, unit, size)
    bands_and_rows(threshold)
    if numba_is_wanted(engine):
        from datagen.text.minhash_numba import NumbaIndex

        return NumbaIndex(threshold, unit, size)
    return PythonIndex(threshold, unit, size)


def bands_and_rows(threshold: float) -> tuple[int, int]:
    """How many bands, of how many hash functions each. Raises ``ConfigError`` where ``MOST`` are too few."""
    for rows in range(MOST, 0, -1):
        missed = 1 - threshold**rows
        bands = ceil(log(1 - RECALL) / log(missed)) if 0 < missed < 1 else 1 if missed == 0 else MOST
        if bands * rows <= MOST:
            return bands, rows
    raise ConfigError(f"search: minhash: no {MOST} hashes find what is {threshold} similar; use search: exact")


def hash_functions(count: int) -> list[tuple[int, int]]:
    """Factor (odd) and addend of each: h -> the upper half of the 64-bit factor * h + addend (multiply-shift)."""
    return [(_mixed(2 * at + 1) | 1, _mixed(2 * at + 2)) for at in range(count)]


class PythonIndex:
    """The same tables as ``minhash_kernel.py``, in arrays: for each band the newest row of each bucket, and for each
    row and band a tag of 32 bits, by which a bucket goes too, and the row before it there. Rows count from 1 in them.
    """

    def __init__(self, threshold: float, unit: Unit, size: int) -> None:
        self._threshold, self._unit, self._size = threshold, unit, size
        self._bands, self._width = bands_and_rows(threshold)
        self._functions = hash_functions(self._bands * self._width)
        self._sets, self._ends = MappedFile(), array("q", [0])
        self._tags, self._before = array("I"), array("I")
        self._heads = self._empty(1024)

    def fill(self, texts: Sequence[str]) -> None:
        """Add texts."""
        for text in texts:
            found = ngram_hashes(text, self._unit, self._size)
            self._add(found, self._tagged(found))

    def admit(self, texts: Sequence[str]) -> list[Near | None]:
        """For each in turn its nearest that is found; where there is none, the text is added."""
        verdicts = []
        for text in texts:
            found = ngram_hashes(text, self._unit, self._size)
            tags = self._tagged(found)
            near = max(self._near(found, tags), key=lambda near: (near[1], -near[0]), default=None)
            if near is None:
                self._add(found, tags)
            verdicts.append(near)
        return verdicts

    def _tagged(self, found: set[int]) -> list[int]:
        """A tag of each band; none for a text without n-grams."""
        if not found:
            return []
        least = [min((factor * one + addend) & _WORD for one in found) >> 32 for factor, addend in self._functions]
        tags = []
        for begin in range(0, len(least), self._width):
            key = 0
            for value in least[begin : begin + self._width]:
                key = (_mixed(key ^ value) + 1) & _WORD
            tags.append(key >> 32)
        return tags

    def _near(self, found: set[int], tags: Sequence[int]) -> Iterator[Near]:
        for row in {row for band, tag in enumerate(tags) for row in self._bucket(band, tag)}:
            size = self._ends[row + 1] - self._ends[row]
            if min(size, len(found)) < self._threshold * max(size, len(found)) - 1e-9:
                continue
            other = array("Q", self._sets.bytes[8 * self._ends[row] : 8 * self._ends[row + 1]])
            shared = len(found.intersection(other))
            if (similarity := shared / (len(found) + size - shared)) >= self._threshold:
                yield row, similarity

    def _bucket(self, band: int, tag: int) -> Iterator[int]:
        heads = self._heads[band]
        row = heads[tag & (len(heads) - 1)]
        while row:
            at = (row - 1) * self._bands + band
            if self._tags[at] == tag:
                yield row - 1
            row = self._before[at]

    def _add(self, found: set[int], tags: Sequence[int]) -> None:
        begin, end = self._ends[-1], self._ends[-1] + len(found)
        self._sets.make_room(8 * end)
        self._sets.bytes[8 * begin : 8 * end] = array("Q", found).tobytes()
        self._ends.append(end)
        self._tags.extend(tags or [0] * self._bands)
        self._before.extend([0] * self._bands)
        if len(self._ends) > len(self._heads[0]):
            self._heads = self._empty(2 * len(self._heads[0]))
            for row in range(len(self._ends) - 1):
                self._link(row)
        else:
            self._link(len(self._ends) - 2)

    def _link(self, row: int) -> None:
        if self._ends[row + 1] == self._ends[row]:
            return
        for band, heads in enumerate(self._heads):
            at = row * self._bands + band
            bucket = self._tags[at] & (len(heads) - 1)
            self._before[at], heads[bucket] = heads[bucket], row + 1

    def _empty(self, buckets: int) -> list[array[int]]:
        return [array("I", bytes(4 * buckets)) for _ in range(self._bands)]
