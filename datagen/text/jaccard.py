"""Jaccard similarity of texts by their word or character n-grams, exact against a growing pool.

Two texts are compared by the sets of their distinct n-grams: shared / (n + m - shared). A text shorter than n is one
n-gram as a whole; one without any word is similar to nothing.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from math import ceil
from typing import Protocol

from datagen.errors import ConfigError
from datagen.text.engine import Engine, Near, numba_is_wanted
from datagen.text.ngrams import Unit, ngrams

_MARGIN = 1e-9


class Index(Protocol):
    """What finds texts again; two engines with the same answers."""

    def fill(self, texts: Sequence[str]) -> None:
        """Add texts."""

    def admit(self, texts: Sequence[str]) -> list[Near | None]:
        """For each in turn its nearest at or above the threshold; where there is none, the text is added."""


def jaccard_pool(threshold: float, unit: Unit, size: int, engine: Engine = "auto") -> Index:
    """An empty pool. With numba n-grams are told apart by 64-bit hashes, else by themselves."""
    check_sets(threshold, unit, size)
    if numba_is_wanted(engine):
        from datagen.text.jaccard_numba import NumbaIndex

        return NumbaIndex(threshold, unit, size)
    return PythonIndex(threshold, unit, size)


def check_sets(threshold: float, unit: Unit, size: int) -> None:
    """Raises ``ConfigError`` for a threshold or length that no n-gram can have."""
    if not 0 < threshold <= 1:
        raise ConfigError(f"a Jaccard threshold must be above 0 and at most 1, not {threshold}")
    if size < 1:
        raise ConfigError(f"an n-gram has at least 1 {unit}, not {size}")


class PythonIndex:
    """Sets of n-grams with prefix-filtered postings (see ``join_kernel.py``) in dictionaries."""

    def __init__(self, threshold: float, unit: Unit, size: int) -> None:
        self._threshold, self._unit, self._size = threshold, unit, size
        self._ids: dict[object, int] = {}
        self._rows: list[set[int]] = []
        self._postings: dict[int, list[int]] = {}

    def fill(self, texts: Sequence[str]) -> None:
        """Add texts."""
        for text in texts:
            self._add(self._numbered(text))

    def admit(self, texts: Sequence[str]) -> list[Near | None]:
        """For each in turn its nearest at or above the threshold; where there is none, the text is added."""
        verdicts = []
        for text in texts:
            ids = self._numbered(text)
            near = max(self._near(ids), key=lambda near: (near[1], -near[0]), default=None)
            if near is None:
                self._add(ids)
            verdicts.append(near)
        return verdicts

    def link(self, texts: Sequence[str]) -> list[list[int]]:
        """For each in turn the indices of all similar ones before it; every text is added."""
        found = []
        for text in texts:
            ids = self._numbered(text)
            found.append(sorted(row for row, _ in self._near(ids)))
            self._add(ids)
        return found

    def _add(self, ids: set[int]) -> None:
        for element in self._prefix(ids):
            self._postings.setdefault(element, []).append(len(self._rows))
        self._rows.append(ids)

    def _near(self, ids: set[int]) -> Iterator[Near]:
        for row in {row for element in self._prefix(ids) for row in self._postings.get(element, ())}:
            shared = len(ids & self._rows[row])
            if (similarity := shared / (len(ids) + len(self._rows[row]) - shared)) >= self._threshold:
                yield row, similarity

    def _prefix(self, ids: set[int]) -> list[int]:
        """A similar set shares at least t of all elements, so one of the others and one more; last seen first."""
        return sorted(ids, reverse=True)[: len(ids) - ceil(len(ids) * self._threshold - _MARGIN) + 1]

    def _numbered(self, text: str) -> set[int]:
        return {self._ids.setdefault(ngram, len(self._ids)) for ngram in ngrams(text, self._unit, self._size)}
