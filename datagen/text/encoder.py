"""Texts as unit vectors by a sentence-transformers model; what was computed once is read from the disk."""

from __future__ import annotations

import hashlib
import logging
import platform
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Literal

from datagen.errors import ConfigError
from datagen.text.vector_cache import VectorCache

if TYPE_CHECKING:
    from datagen.text.embeddings import Vectors

Precision = Literal["float32", "bfloat16"]
"""``bfloat16`` multiplies matrices in bfloat16: faster on processors that can (AVX512_BF16, AMX, GPUs), far slower on
others. It moves every cosine a little, so it is asked for: chosen by the processor, it would make a file's rows depend
on the machine. ``benchmarks/embeddings.py`` measures both."""

logger = logging.getLogger("datagen")


class Encoder:
    """Open a model, by folder or hub name (``sentence-transformers/all-MiniLM-L6-v2``); a text is cut at its context.

    The cache is keyed by the weights themselves, the tokenizer and the precision, whatever the model is called.

    Raises:
        ConfigError: sentence-transformers is not installed, or the model cannot be loaded.
    """

    def __init__(
        self, model: str, *, revision: str | None, device: str, batch_size: int, precision: Precision = "float32"
    ) -> None:
        try:
            from sentence_transformers import SentenceTransformer
        except ImportError as error:
            raise ConfigError(f"embeddings: {error}; run: pip install 'datagen[embed]'") from error
        try:
            loaded: Any = SentenceTransformer(
                model,
                revision=revision,
                device=None if device == "auto" else device,
                trust_remote_code=False,
                model_kwargs={"dtype": "float32" if precision == "float32" else "auto"},
            )
        except (OSError, ValueError, RuntimeError) as error:
            why = " ".join(str(error).split())[:300]
            raise ConfigError(f"embedding model {model}: cannot be loaded: {why}") from error
        self._model, self._batch_size, self._precision = loaded, batch_size, precision
        if precision == "bfloat16" and loaded.device.type == "cpu" and not has_bfloat16():
            logger.warning("embeddings: this processor has no bfloat16 instructions: precision: float32 is faster here")
        self._cache = VectorCache(f"{_digest(loaded)}-{precision}")

    def __call__(self, texts: Sequence[str]) -> Vectors:
        """Unit vectors, (texts, dimensions)."""
        return self._cache.vectors(texts, self.computed)

    def computed(self, texts: Sequence[str]) -> Vectors:
        """The same without the cache. Texts of like length share a batch, so give many at once."""
        import numpy as np
        import torch

        half = self._precision == "bfloat16"
        with torch.autocast(self._model.device.type, torch.bfloat16, enabled=half):
            raw = self._model.encode(list(texts), batch_size=self._batch_size, show_progress_bar=False)
        vectors = np.asarray(raw, np.float32)
        unit: Vectors = vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), np.float32(1e-12))
        return unit


def has_bfloat16() -> bool:
    """Whether the processor multiplies bfloat16 by itself: AVX512_BF16; of others than x86 nothing is known."""
    import torch

    return platform.machine() not in ("x86_64", "AMD64") or bool(torch.cpu._is_avx512_bf16_supported())


def _digest(model: Any) -> str:
    """Weights, how they are wired, the tokenizer and the longest text."""
    import torch

    digest = hashlib.blake2b(digest_size=16)
    for name, tensor in sorted(model.state_dict().items()):
        digest.update(f"{name}\0{tensor.dtype}\0{tuple(tensor.shape)}\0".encode())
        digest.update(tensor.detach().cpu().contiguous().view(torch.uint8).numpy().data)
    tokenizer = getattr(model.tokenizer, "backend_tokenizer", None)
    words = tokenizer.to_str() if tokenizer is not None else sorted(model.tokenizer.get_vocab().items())
    digest.update(f"{model}\0{model.max_seq_length}\0{words}".encode("utf-8", "surrogatepass"))
    return digest.hexdigest()
