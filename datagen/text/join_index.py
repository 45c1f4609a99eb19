"""Rows found again by similarity, in machine code: owns the arrays of ``join_kernel.py`` and grows them."""

from __future__ import annotations

import functools
import logging
import time
from collections.abc import Callable

import numpy as np
import numpy.typing as npt

from datagen.text import join_kernel as kernel
from datagen.text.join_kernel import LISTS, Ints, State

logger = logging.getLogger("datagen")

Floats = npt.NDArray[np.float64]


class JoinIndex:
    """Rows, given as one array behind one another (``flat``) and where each ends (``ends``).

    ``kind`` is ``LISTS`` of token ids from 0, compared by ROUGE-L F, or ``SETS`` of falling hashes, by Jaccard.
    """

    def __init__(self, kind: int, threshold: float) -> None:
        _ready()
        bound = threshold if kind == LISTS else 2 * threshold / (1 + threshold)
        self._state = _state(
            kind, bound, threshold, rows=2048, tokens=2**16, wide=2**13, entries=2**15, vocabulary=2**14
        )

    def fill(self, flat: Ints, ends: Ints) -> None:
        """Add rows."""
        self._make_known(flat)
        self._in_room(ends, lambda at: kernel.insert_all(self._state, flat, ends, at))

    def near(self, row: Ints) -> list[tuple[int, float]]:
        """Number and score of every row at or above the threshold, in order."""
        self._make_known(row)
        found = kernel.search(self._state, row)
        rows, scores = self._state.hit_row[:found], self._state.hit_score[:found]
        return sorted(zip(rows.tolist(), scores.tolist(), strict=True))

    def closest(self, row: Ints) -> tuple[int, float] | None:
        """Number and F of the most similar list, the first among equals; None if nothing is shared."""
        self._make_known(row)
        found, score = kernel.closest(self._state, row)
        return None if found < 0 else (found, score)

    def admit(self, flat: Ints, ends: Ints) -> list[tuple[int, float] | None]:
        """For each in turn the nearest that is too similar; where there is none, the row is added."""
        self._make_known(flat)
        near, scores = np.empty(len(ends), np.int64), np.empty(len(ends))
        self._in_room(ends, lambda at: kernel.admit_all(self._state, flat, ends, at, near, scores))
        found = zip(near.tolist(), scores.tolist(), strict=True)
        return [None if row < 0 else (row, score) for row, score in found]

    def _in_room(self, ends: Ints, go_on: Callable[[int], int]) -> None:
        """Go on from row to row, making room as often as it runs out."""
        at = go_on(0)
        while at < len(ends) or self._state.fill[kernel.FULL]:
            self._grow(max(np.diff(ends, prepend=0).tolist()))
            at = go_on(at)

    def _make_known(self, flat: Ints) -> None:
        """Room in the vocabulary for all ids."""
        state = self._state
        if state.kind == LISTS and (size := int(flat.max(initial=0)) + 1) > len(state.local):
            self._state = state._replace(local=np.zeros(2 * size, np.int32))

    def _grow(self, extra: int) -> None:
        """Make room for at least one row of up to ``extra`` elements; insert all rows again, by their frequencies."""
        old = self._state
        rows, tokens, wide, entries = old.fill[:4].tolist()
        self._state = _state(
            old.kind,
            old.bound,
            old.threshold,
            rows=_room(len(old.rows), rows, 1, 2**17),
            tokens=_room(len(old.tokens), tokens, extra, 2**23),
            wide=_room(len(old.wide), wide, kernel.WIDEST, 2**20),
            entries=_room(len(old.entries), entries, extra, 2**22),
            vocabulary=len(old.local),
        )
        flat, ends = old.tokens[:tokens], np.cumsum(old.rows["length"][:rows], dtype=np.int64)
        del old
        kernel.count_all(self._state, flat, ends)
        self.fill(flat, ends)


@functools.cache
def _ready() -> None:
    """Load the machine code; compiles it at the first use after installation, and says so."""
    started = time.perf_counter()
    state = _state(LISTS, 1.0, 1.0, rows=2, tokens=2, wide=8, entries=8, vocabulary=1)
    flat, ends = np.zeros(1, np.int64), np.ones(1, np.int64)
    kernel.count_all(state, flat, ends)
    kernel.insert_all(state, flat, ends, 0)
    kernel.admit_all(state, flat, ends, 0, np.zeros(1, np.int64), np.zeros(1))
    kernel.search(state, flat)
    kernel.closest(state, flat)
    new = sum(kernel.admit_all.stats.cache_misses.values())  # type: ignore[attr-defined]
    how = "compiled, and kept for later runs," if new else "loaded"
    logger.info("similarity joins: machine code %s in %.1f s", how, time.perf_counter() - started)


def _room(capacity: int, used: int, extra: int, least: int) -> int:
    """More where it is short: a slot of postings that moves takes up to twice of what is used.

    Eight times and at least ``least``, enough for about 100,000 rows, since making room costs as much as adding all
    rows once; memory not yet written to costs nothing.
    """
    return max(8 * capacity + 4 * extra, least) if 3 * used + 4 * extra + 4 > capacity else capacity


def _state(
    kind: int, bound: float, threshold: float, *, rows: int, tokens: int, wide: int, entries: int, vocabulary: int
) -> State:
    slots = 1 << max(rows, entries // 8).bit_length()
    return State(
        kind=kind,
        bound=bound,
        threshold=threshold,
        fill=np.zeros(6, np.int64),
        tokens=np.empty(tokens, np.int64),
        rows=np.zeros(rows, kernel.ROW),
        wide=np.empty(wide, np.uint64),
        slots=np.zeros(slots, kernel.SLOT),
        entries=np.empty(entries, kernel.ENTRY),
        frequency=np.zeros(slots, np.int32),
        local=np.zeros(vocabulary, np.int32),
        bitmap=np.empty(2 * kernel.WIDEST, np.uint64),
        found=np.empty((4096, 2), np.int64),
        hit_row=np.empty(rows, np.int64),
        hit_score=np.empty(rows),
    )
