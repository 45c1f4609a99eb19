"""The novelty pool's index in machine code: owns the arrays of ``lcs_kernel.py`` and grows them."""

from __future__ import annotations

import functools
import logging
import time
from collections.abc import Callable, Iterable, Sequence
from itertools import accumulate, chain

import numpy as np

from datagen.text import lcs_kernel as kernel
from datagen.text.lcs_kernel import Ints, State

logger = logging.getLogger("datagen")


class NumbaIndex:
    """Lists of token ids, found again by ROUGE-L F. See ``rouge.Index``."""

    name = "numba"

    def __init__(self, threshold: float) -> None:
        _ready()
        self._threshold = threshold
        self._state = _state(rows=256, tokens=4096, wide=2048, entries=4096, vocabulary=4096)

    def fill(self, lists: Iterable[list[int]]) -> None:
        """Add lists."""
        self._add(*_flat(list(lists)))

    def near(self, ids: list[int]) -> list[tuple[int, float]]:
        """Row and F of every list at or above the threshold, in order."""
        flat = self._known(_flat([ids])[0])
        found = kernel.search(self._state, flat, self._threshold)
        rows, lcs = self._state.hit_row[:found].tolist(), self._state.hit_lcs[:found].tolist()
        lengths = self._state.length
        scored = [(row, kernel.f_measure(one, len(ids), int(lengths[row]))) for row, one in zip(rows, lcs, strict=True)]
        return sorted(scored)

    def closest(self, ids: list[int]) -> tuple[int, float] | None:
        """Row and F of the most similar list, the first among equals; None if nothing is shared."""
        row, score = kernel.closest(self._state, self._known(_flat([ids])[0]))
        return None if row < 0 else (row, score)

    def admit(self, lists: Sequence[list[int]]) -> list[tuple[int, float] | None]:
        """For each list in turn the nearest above the threshold; where there is none, the list is added."""
        flat, ends = _flat(lists)
        self._known(flat)
        near, scores = np.empty(len(ends), np.int64), np.empty(len(ends))
        self._in_room(ends, lambda at: kernel.admit_all(self._state, flat, ends, at, self._threshold, near, scores))
        found = zip(near.tolist(), scores.tolist(), strict=True)
        return [None if row < 0 else (row, score) for row, score in found]

    def _add(self, flat: Ints, ends: Ints) -> None:
        self._known(flat)
        self._in_room(ends, lambda at: kernel.insert_all(self._state, flat, ends, at, self._threshold))

    def _in_room(self, ends: Ints, go_on: Callable[[int], int]) -> None:
        """Go on from list to list, making room as often as it runs out."""
        at = go_on(0)
        while at < len(ends) or self._state.fill[kernel.FULL]:
            self._grow(max(np.diff(ends, prepend=0).tolist()))
            at = go_on(at)

    def _known(self, flat: Ints) -> Ints:
        """The ids, once the vocabulary has room for them."""
        size = int(flat.max(initial=0)) + 1
        if size > len(self._state.counts):
            self._state = self._state._replace(counts=np.zeros(2 * size, np.int32), mask=np.zeros(2 * size, np.uint64))
        return flat

    def _grow(self, extra: int) -> None:
        """Make room for at least one list of up to ``extra`` tokens, and insert all rows again."""
        old = self._state
        rows, tokens, wide, entries = old.fill[:4].tolist()
        self._state = _state(
            rows=_room(len(old.start), rows, 1),
            tokens=_room(len(old.tokens), tokens, extra),
            wide=_room(len(old.wide), wide, kernel.WIDEST),
            entries=_room(len(old.entries), entries, extra),
            vocabulary=len(old.counts),
        )
        flat = old.tokens[:tokens].astype(np.int64)
        self._add(flat, np.cumsum(old.length[:rows], dtype=np.int64))


@functools.cache
def _ready() -> None:
    """Load the machine code; compiles it at the first use after installation, and says so."""
    started = time.perf_counter()
    state = _state(rows=2, tokens=2, wide=8, entries=8, vocabulary=1)
    flat, ends = _flat([[0]])
    kernel.insert_all(state, flat, ends, 0, 1.0)
    kernel.admit_all(state, flat, ends, 0, 1.0, np.zeros(1, np.int64), np.zeros(1))
    kernel.search(state, flat, 1.0)
    kernel.closest(state, flat)
    kernel.f_measure(1, 1, 1)
    new = sum(kernel.admit_all.stats.cache_misses.values())  # type: ignore[attr-defined]
    how = "compiled, and kept for later runs," if new else "loaded"
    logger.info("ROUGE-L: machine code %s in %.1f s", how, time.perf_counter() - started)


def _room(capacity: int, used: int, extra: int) -> int:
    """More where it is short: a slot of postings that moves takes up to twice of what is used."""
    return 2 * capacity + 4 * extra if 3 * used + 4 * extra + 4 > capacity else capacity


def _state(*, rows: int, tokens: int, wide: int, entries: int, vocabulary: int) -> State:
    return State(
        fill=np.zeros(6, np.int64),
        tokens=np.empty(tokens, np.int32),
        start=np.empty(rows, np.int64),
        length=np.empty(rows, np.int32),
        narrow=np.empty(rows, np.uint64),
        wide=np.empty(wide, np.uint64),
        wide_at=np.empty(rows, np.int64),
        stamp=np.zeros(rows, np.int64),
        slots=np.zeros((1 << rows.bit_length(), 3), np.int64),
        entries=np.empty((entries, 3), np.int32),
        narrows=np.empty(entries, np.uint64),
        counts=np.zeros(vocabulary, np.int32),
        mask=np.zeros(vocabulary, np.uint64),
        bitmap=np.empty(2 * kernel.WIDEST, np.uint64),
        hit_row=np.empty(rows, np.int64),
        hit_lcs=np.empty(rows, np.int64),
    )


def _flat(lists: Sequence[list[int]]) -> tuple[Ints, Ints]:
    """All ids behind one another, and where each list ends."""
    ends = np.fromiter(accumulate(map(len, lists)), np.int64, len(lists))
    return np.fromiter(chain.from_iterable(lists), np.int64), ends
