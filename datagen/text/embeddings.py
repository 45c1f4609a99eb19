"""Texts as unit vectors by a sentence-transformers model, and an exact pool of them searched by cosine.

The search is one matrix product for a block of texts against all that were kept: exact, and for as many rows as fit in
memory faster than an index (for a 384-dimensional model a million rows are 1.5 GB).
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from datagen.errors import ConfigError

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    Vectors = NDArray[np.float32]

Encode = Callable[[Sequence[str]], "Vectors"]
_BLOCK = 512


def encoder(model: str, device: str, batch_size: int) -> Encode:
    """A function from texts to unit vectors, (texts, dimensions). Raises ``ConfigError``."""
    try:
        from sentence_transformers import SentenceTransformer
    except ImportError as error:
        raise ConfigError(f"embeddings: {error}; run: pip install 'datagen[embed]'") from error
    try:
        loaded: Any = SentenceTransformer(model, device=None if device == "auto" else device, trust_remote_code=False)
    except (OSError, ValueError, RuntimeError) as error:
        raise ConfigError(f"embedding model {model}: cannot be loaded: {' '.join(str(error).split())[:300]}") from error

    def encode(texts: Sequence[str]) -> Vectors:
        vectors: Vectors = loaded.encode(
            list(texts), batch_size=batch_size, normalize_embeddings=True, show_progress_bar=False
        ).astype("float32")
        return vectors

    return encode


class EmbeddingPool:
    """Vectors in the order in which their texts came in. Holds 4 bytes a dimension for each."""

    def __init__(self, threshold: float, encode: Encode) -> None:
        import numpy as np

        self._threshold = threshold
        self._encode = encode
        self._held: Vectors = np.empty((0, 0), np.float32)
        self._count = 0

    def fill(self, texts: Sequence[str]) -> None:
        """Add texts unseen."""
        for start in range(0, len(texts), _BLOCK):
            self._add(self._encode(texts[start : start + _BLOCK]))

    def admit(self, texts: Sequence[str]) -> list[tuple[int, float] | None]:
        """For each in turn its nearest (index, cosine) at or above the threshold; None: it is novel, and added."""
        verdicts: list[tuple[int, float] | None] = []
        for start in range(0, len(texts), _BLOCK):
            verdicts += self._admit(self._encode(texts[start : start + _BLOCK]))
        return verdicts

    def _admit(self, block: Vectors) -> list[tuple[int, float] | None]:
        """Against what was held before by one product, and within the block row by row."""
        import numpy as np

        before, within = self._count, block @ block.T
        if before:
            earlier = block @ self._held[:before].T
            best = earlier.argmax(axis=1)
            nearest = earlier[np.arange(len(block)), best]
        verdicts: list[tuple[int, float] | None] = []
        admitted: list[int] = []
        for at in range(len(block)):
            index, similarity = (int(best[at]), float(nearest[at])) if before else (-1, -2.0)
            if admitted and (closest := float(within[at, admitted].max())) > similarity:
                index, similarity = before + int(within[at, admitted].argmax()), closest
            if index >= 0 and similarity >= self._threshold:
                verdicts.append((index, round(min(similarity, 1.0), 4)))
                continue
            verdicts.append(None)
            admitted.append(at)
        self._add(block[admitted])
        return verdicts

    def _add(self, vectors: Vectors) -> None:
        """Room grows by doubling, so that adding costs the same however many there are."""
        import numpy as np

        needed = self._count + len(vectors)
        if needed > len(self._held):
            grown = np.empty((max(needed, 2 * len(self._held), _BLOCK), vectors.shape[1]), np.float32)
            grown[: self._count] = self._held[: self._count] if self._count else 0
            self._held = grown
        self._held[self._count : needed] = vectors
        self._count = needed
