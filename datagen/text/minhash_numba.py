"""The MinHash pool in machine code: owns the arrays of ``minhash_kernel.py`` and grows them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

import numpy as np

from datagen.text import minhash_kernel as kernel
from datagen.text.mapped_file import MappedFile
from datagen.text.minhash import bands_and_rows, hash_functions
from datagen.text.minhash_kernel import ROWS, Tables
from datagen.text.ngram_kernel import Ints
from datagen.text.ngram_sets import hashed
from datagen.text.ngrams import Unit

_BLOCK = 1024


class NumbaIndex:
    """Sets of n-gram hashes on disk, found again by their signatures. See ``jaccard.Index``."""

    def __init__(self, threshold: float, unit: Unit, size: int) -> None:
        self._sets, self._size = hashed(unit), size
        self._file = MappedFile()
        self._stored = np.frombuffer(self._file.bytes, np.int64)
        bands, width = bands_and_rows(threshold)
        functions = np.array(hash_functions(bands * width), np.uint64).reshape(bands, width, 2)
        self._tables = Tables(
            threshold=threshold,
            factors=np.ascontiguousarray(functions[:, :, 0]),
            addends=np.ascontiguousarray(functions[:, :, 1]),
            fill=np.zeros(2, np.int64),
            heads=np.zeros((bands, 1024), np.uint32),
            links=np.zeros((0, bands, 2), np.uint32),
            ends=np.zeros(1, np.int64),
            stamps=np.zeros(0, np.uint32),
        )

    def fill(self, texts: Sequence[str]) -> None:
        """Add texts."""
        for flat, ends in self._blocks(texts):
            kernel.insert_all(self._tables, self._stored, flat, ends)

    def admit(self, texts: Sequence[str]) -> list[tuple[int, float] | None]:
        """For each in turn its nearest that is found; where there is none, the text is added."""
        verdicts: list[tuple[int, float] | None] = []
        for flat, ends in self._blocks(texts):
            near, scores = np.empty(len(ends), np.int64), np.empty(len(ends))
            kernel.admit_all(self._tables, self._stored, flat, ends, near, scores)
            found = zip(near.tolist(), scores.tolist(), strict=True)
            verdicts += [None if row < 0 else (row, score) for row, score in found]
        return verdicts

    def _blocks(self, texts: Sequence[str]) -> Iterator[tuple[Ints, Ints]]:
        """Sets, for which there is room when they come."""
        for begin in range(0, len(texts), _BLOCK):
            flat, ends = self._sets(texts[begin : begin + _BLOCK], self._size)
            self._make_room(len(ends), int(ends[-1]))
            yield flat, ends

    def _make_room(self, rows: int, elements: int) -> None:
        tables = self._tables
        needed = int(tables.fill[ROWS]) + rows
        if self._file.make_room(8 * (int(tables.ends[needed - rows]) + elements)):
            self._stored = np.frombuffer(self._file.bytes, np.int64)
        bands, buckets = tables.heads.shape
        if needed > len(tables.links):
            # In place, by a quarter: nothing is copied, and little lies idle.
            capacity = needed + needed // 4
            tables.links.resize((capacity, bands, 2), refcheck=False)
            tables.ends.resize(capacity + 1, refcheck=False)
            tables.stamps.resize(capacity, refcheck=False)
        if needed > buckets:
            heads = np.zeros((bands, 1 << needed.bit_length()), np.uint32)
            self._tables = tables._replace(heads=heads)
            del tables
            kernel.link_all(self._tables)
