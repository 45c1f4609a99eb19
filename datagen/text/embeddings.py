"""A pool of unit vectors: for each new one its nearest by cosine among those that were kept.

How it is found is a ``Search``: by all pairs, exactly (``vector_search.Exact``), within clusters, or by an index.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vectors = NDArray[np.float32]
    Ints = NDArray[np.int64]
    Flags = NDArray[np.bool_]

Encode = Callable[[Sequence[str]], "Vectors"]
BLOCK = 1024


class Search(Protocol):
    """Vectors in the order in which they were added."""

    def add(self, vectors: Vectors) -> None:
        """Add some."""

    def best(self, block: Vectors) -> tuple[Ints, Vectors]:
        """For each the first of its nearest at or above the threshold and their cosine; -1 where there is none."""

    def comparable(self, block: Vectors) -> Flags | None:
        """Which of a block are compared with each other, (block, block); None: all."""


class EmbeddingPool:
    """Texts in the order in which they came in. See ``filters.duplicates.Pool``."""

    def __init__(self, threshold: float, encode: Encode, search: Search) -> None:
        self._threshold, self._encode, self._search = threshold, encode, search
        self._count = 0

    def fill(self, texts: Sequence[str]) -> None:
        """Add texts unseen."""
        for start in range(0, len(texts), BLOCK):
            self._search.add(self._encode(texts[start : start + BLOCK]))
        self._count += len(texts)

    def admit(self, texts: Sequence[str]) -> list[tuple[int, float] | None]:
        """For each in turn its nearest (index, cosine) at or above the threshold; None: it is novel, and added."""
        verdicts: list[tuple[int, float] | None] = []
        for start in range(0, len(texts), BLOCK):
            verdicts += self._admit(self._encode(texts[start : start + BLOCK]))
        return verdicts

    def _admit(self, block: Vectors) -> list[tuple[int, float] | None]:
        """Against what was held before by the search, and within the block row by row."""
        import numpy as np

        index, cosine = self._search.best(block)
        within = np.tril(block @ block.T, -1)
        if (pairs := self._search.comparable(block)) is not None:
            within[~pairs] = 0.0
        has_near: list[bool] = np.any(within >= self._threshold, axis=1).tolist()
        admitted: list[int] = []
        verdicts: list[tuple[int, float] | None] = []
        for at, (near, similarity) in enumerate(zip(index.tolist(), cosine.tolist(), strict=True)):
            if has_near[at] and admitted:
                closest = int(within[at, admitted].argmax())
                if (found := float(within[at, admitted[closest]])) >= self._threshold and found > similarity:
                    near, similarity = self._count + closest, found
            if near < 0:
                admitted.append(at)
            verdicts.append((near, round(min(similarity, 1.0), 4)) if near >= 0 else None)
        self._search.add(block[admitted])
        self._count += len(admitted)
        return verdicts
