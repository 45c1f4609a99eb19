"""From documents to batches: token ids with one loss weight each, packed by length so that little is padding.

A chunk is some thousand documents, drawn from (seed, index) alone. It is the unit of progress of a training run.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from random import Random

import torch
from torch import Tensor
from transformers import PreTrainedTokenizerBase

from datagen.tiny import base_corpus, roles
from datagen.tiny.generate import render
from datagen.tiny.roles import OwnAnswer

PROMPT_WEIGHT, PROMPT_SHARE = 0.2, 0.25  # a quarter of the prompts is learned too: logits are a fifth of the cost
SCORE_WEIGHT = 3.0
DOCS_PER_CHUNK = 4000
TOKENS_PER_BATCH = 2560


@dataclass(frozen=True)
class Batch:
    """``ids`` and ``weights`` are (batch, seq); ``weights[:, t]`` is the loss weight of predicting token t."""

    ids: Tensor
    weights: Tensor


def _teacher_rows(
    tokenizer: PreTrainedTokenizerBase, rng: Random, progress: float, own: Sequence[OwnAnswer]
) -> list[tuple[list[int], list[float]]]:
    docs = roles.draw_docs(rng, DOCS_PER_CHUNK, progress, own)
    asked = [render(doc.messages[:-1]) for doc in docs]
    prompts = tokenizer(asked)["input_ids"]
    replies = tokenizer([f" {doc.messages[-1].content}<|end|>" for doc in docs])["input_ids"]
    rows = []
    for doc, prompt, reply in zip(docs, prompts, replies, strict=True):
        weights = [PROMPT_WEIGHT if rng.random() < PROMPT_SHARE else 0.0] * len(prompt) + [doc.weight] * len(reply)
        if doc.role == "grade/accuracy":
            weights[-2] = SCORE_WEIGHT
        rows.append((prompt + reply, weights))
    return rows


def _base_rows(tokenizer: PreTrainedTokenizerBase, rng: Random) -> list[tuple[list[int], list[float]]]:
    texts = [f" {base_corpus.text(rng)}<|end|>" for _ in range(DOCS_PER_CHUNK)]
    return [(ids, [1.0] * len(ids)) for ids in tokenizer(texts)["input_ids"]]


def _batch(rows: list[tuple[list[int], list[float]]], pad: int) -> Batch:
    longest = max(len(ids) for ids, _ in rows)
    ids = torch.tensor([ids + [pad] * (longest - len(ids)) for ids, _ in rows])
    weights = torch.tensor([weights + [0.0] * (longest - len(weights)) for _, weights in rows])
    return Batch(ids, weights)


def draw_chunk(
    tokenizer: PreTrainedTokenizerBase,
    which: str,
    seed: int,
    index: int,
    progress: float,
    own: Sequence[OwnAnswer] = (),
) -> list[Batch]:
    """All batches of one chunk for ``which`` model (teacher or base), in random order."""
    rng = Random(f"{which}-{seed}-{index}")
    rows = _teacher_rows(tokenizer, rng, progress, own) if which == "teacher" else _base_rows(tokenizer, rng)
    rows.sort(key=lambda row: len(row[0]) + rng.random())
    batches: list[Batch] = []
    group: list[tuple[list[int], list[float]]] = []
    for row in rows:
        if group and len(row[0]) * (len(group) + 1) > TOKENS_PER_BATCH:
            batches.append(_batch(group, tokenizer.pad_token_id))
            group = []
        group.append(row)
    batches.append(_batch(group, tokenizer.pad_token_id))
    rng.shuffle(batches)
    return batches
