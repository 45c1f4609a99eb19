"""A reward model without training: tiny-base with a random scalar head."""

from __future__ import annotations

import tempfile
from functools import lru_cache

import pytest

from datagen.llm import models


@lru_cache
def tiny_rewarder() -> str:
    """Its folder."""
    torch = pytest.importorskip("torch")
    pytest.importorskip("transformers")
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    base, folder = models.resolve("tiny-base"), tempfile.mkdtemp(prefix="tiny-rewarder-")
    torch.manual_seed(0)
    model = AutoModelForSequenceClassification.from_pretrained(base, num_labels=1, dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(base)
    model.config.pad_token_id = tokenizer.pad_token_id
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder
