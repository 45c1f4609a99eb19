"""What texts share with a benchmark's items: runs of n words, or an item as a whole. Two engines, the same answers.

An item shorter than n is one run as a whole, so that an n longer than an item misses nothing; one of fewer than
``SHORTEST`` words may well occur inside an innocent text, and must be all of it.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple, Protocol

from datagen.text.engine import Engine, numba_is_wanted
from datagen.text.words import normal, words

SHORTEST = 5


class Match(NamedTuple):
    """What a text shares with an item: the words, and how much of the item's lie in shared runs."""

    item: int
    shared: str
    coverage: float
    whole: bool
    """The text is the item, after normalisation."""


class Overlap(Protocol):
    """Items, and what each of some texts shares with them."""

    def matches(self, texts: Sequence[str]) -> list[Match | None]:
        """For each text the first item that it equals, else the one covered most (above the least coverage).

        Among equals the first item; ``shared`` is the first run of the text that the item has.
        """


def overlap(items: Sequence[str], ngram: int, coverage: float, engine: Engine = "auto") -> Overlap:
    """Items by their runs of ``ngram`` words; more than ``coverage`` of an item's words must lie in shared runs."""
    if numba_is_wanted(engine):
        from datagen.text.overlap_numba import NumbaOverlap

        return NumbaOverlap(items, ngram, coverage)
    return PythonOverlap(items, ngram, coverage)


def run_size(length: int, ngram: int) -> int:
    """How many words the runs of an item have; 0 where it only counts as the whole text."""
    size = min(ngram, length)
    return size if size >= min(SHORTEST, ngram) else 0


def runs(tokens: Sequence[str], size: int) -> Iterator[str]:
    """The runs of ``size`` words, in order."""
    return (" ".join(tokens[at : at + size]) for at in range(len(tokens) - size + 1))


def shared_with(text: Sequence[str], item: Sequence[str], ngram: int) -> tuple[str, float]:
    """The first run of a text that an item has, and the share of the item's words that lie in shared runs."""
    size = run_size(len(item), ngram)
    mine, theirs = list(runs(text, size)), list(runs(item, size))
    both, covered = set(mine) & set(theirs), set[int]()
    for begin, run in enumerate(theirs):
        if run in both:
            covered.update(range(begin, begin + size))
    return next((run for run in mine if run in both), ""), len(covered) / len(item)


class PythonOverlap:
    """Runs as strings in a dictionary."""

    def __init__(self, items: Sequence[str], ngram: int, coverage: float) -> None:
        self._ngram, self._coverage = ngram, coverage
        self._items = [words(item) for item in items]
        self._whole: dict[str, int] = {}
        self._runs: dict[str, list[int]] = {}
        for at, (text, tokens) in enumerate(zip(items, self._items, strict=True)):
            self._whole.setdefault(normal(text, tokens), at)
            for run in set(runs(tokens, size) if (size := run_size(len(tokens), ngram)) else ()):
                self._runs.setdefault(run, []).append(at)
        self._sizes = sorted({size for one in self._items if (size := run_size(len(one), ngram))})

    def matches(self, texts: Sequence[str]) -> list[Match | None]:
        """See ``Overlap.matches``."""
        return [self._match(text, words(text)) for text in texts]

    def _match(self, text: str, tokens: list[str]) -> Match | None:
        if (at := self._whole.get(whole := normal(text, tokens))) is not None:
            return Match(at, whole, 1.0, whole=True)
        found = {at for size in self._sizes for run in runs(tokens, size) for at in self._runs.get(run, ())}
        shares = [(at, *shared_with(tokens, self._items[at], self._ngram)) for at in sorted(found)]
        best = max(shares, key=lambda one: one[2], default=None)
        return None if best is None or best[2] <= self._coverage else Match(*best, whole=False)
