"""ROUGE-L F between a text and a growing pool: exact, with the floats of ``rouge_score`` (Self-Instruct's novelty).

Candidates are found with a margin and decided with ``lcs.f_measure``, the reference's own expression.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Sequence
from itertools import count
from typing import Protocol

from datagen.errors import ConfigError
from datagen.text.engine import Engine, Near, numba_is_wanted
from datagen.text.rouge_rapidfuzz import RapidfuzzIndex

_LETTERS = bytes(byte if chr(byte).isalnum() and byte < 128 else 32 for byte in range(256))
SMALL = 2000
"""From how many lists on the time to load numba is worth while."""


def tokenize(text: str) -> list[str]:
    """The tokens of ``rouge_score`` without stemming: runs of ASCII letters and digits, lower case."""
    return text.lower().encode("ascii", "replace").translate(_LETTERS).decode("ascii").split()


class Index(Protocol):
    """What finds lists of token ids again; two engines with the same answers, floats included."""

    name: str

    def fill(self, lists: Iterable[list[int]]) -> None:
        """Add lists."""

    def near(self, ids: list[int]) -> list[Near]:
        """Every list at or above the threshold, in order."""

    def closest(self, ids: list[int]) -> Near | None:
        """The most similar list, the first among equals; None if nothing is shared."""

    def admit(self, lists: Sequence[list[int]]) -> list[Near | None]:
        """For each list in turn the nearest above the threshold; where there is none, the list is added."""


class NoveltyPool:
    """Token lists, and for a new one its nearest among them.

    rapidfuzz searches a small pool; from ``SMALL`` lists on numba does, where it is installed.
    """

    def __init__(self, threshold: float, engine: Engine = "auto") -> None:
        if not 0 < threshold <= 1:
            raise ConfigError(f"a ROUGE-L threshold must be above 0 and at most 1, not {threshold}")
        self.threshold = threshold
        self._may_switch = engine == "auto" and numba_is_wanted("auto")
        self._index: Index = (
            _numba_index(threshold) if engine == "numba" and numba_is_wanted(engine) else RapidfuzzIndex(threshold)
        )
        self._ids: defaultdict[str, int] = defaultdict(count().__next__)
        self._size = 0

    def __len__(self) -> int:
        return self._size

    @property
    def engine(self) -> str:
        """The name of what searches."""
        return self._index.name

    def add(self, tokens: Sequence[str]) -> int:
        """Add a list; its index."""
        self._expect(1)
        self._index.fill([self._numbered(tokens)])
        self._size += 1
        return self._size - 1

    def nearest(self, tokens: Sequence[str]) -> Near | None:
        """Index and F of the most similar list above the threshold, the first among equals; None: it is novel."""
        above = [near for near in self.neighbours(tokens) if near[1] > self.threshold]
        return max(above, key=lambda near: (near[1], -near[0]), default=None)

    def neighbours(self, tokens: Sequence[str]) -> list[Near]:
        """Index and F of every list at or above the threshold, in order."""
        return self._index.near(self._numbered(tokens))

    def closest(self, tokens: Sequence[str]) -> Near | None:
        """Index and F of the most similar list however far it is; reads the whole pool. None if nothing is shared."""
        return self._index.closest(self._numbered(tokens))

    def admit(self, lists: Sequence[Sequence[str]]) -> list[Near | None]:
        """For each list in turn its ``nearest``; one that has none is novel, and added before the next is judged."""
        self._expect(len(lists))
        verdicts = self._index.admit([self._numbered(tokens) for tokens in lists])
        self._size += verdicts.count(None)
        return verdicts

    def _numbered(self, tokens: Sequence[str]) -> list[int]:
        return list(map(self._ids.__getitem__, tokens))

    def _expect(self, more: int) -> None:
        if self._may_switch and self._size + more > SMALL and isinstance(self._index, RapidfuzzIndex):
            lists, self._index = self._index.lists, _numba_index(self.threshold)
            self._index.fill(lists)


def _numba_index(threshold: float) -> Index:
    from datagen.text.rouge_numba import NumbaIndex

    return NumbaIndex(threshold)
