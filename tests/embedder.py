"""A real sentence-transformers model without a download: tiny-base with mean pooling."""

from __future__ import annotations

import tempfile
from functools import lru_cache

import pytest

from datagen.llm import models


@lru_cache
def tiny_embedder() -> str:
    """Its folder."""
    pytest.importorskip("sentence_transformers")
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.sentence_transformer.modules import Pooling, Transformer

    words = Transformer(models.resolve("tiny-base"))
    folder = tempfile.mkdtemp(prefix="tiny-embedder-")
    SentenceTransformer(modules=[words, Pooling(words.get_embedding_dimension(), "mean")], device="cpu").save(folder)
    return folder
