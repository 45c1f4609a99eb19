"""Batched sampling from a small model, for training rounds, measuring and tests."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, PreTrainedModel, PreTrainedTokenizerBase

from datagen.record import Message


def render(messages: Sequence[Message]) -> str:
    """The chat as the shipped template writes it, up to the assistant's turn (a test compares the two)."""
    return "".join(f"<|{m.role}|> {m.content}<|end|>" for m in messages) + "<|assistant|>"


@torch.inference_mode()
def complete(
    model: PreTrainedModel,
    tokenizer: PreTrainedTokenizerBase,
    texts: Sequence[str],
    *,
    temperature: float = 0.0,
    top_p: float = 1.0,
    max_tokens: int = 64,
    seed: int = 0,
    batch: int = 256,
) -> list[str]:
    """How the model goes on from each text; greedy at temperature 0."""
    torch.manual_seed(seed)
    order = sorted(range(len(texts)), key=lambda index: len(texts[index]))
    replies = [""] * len(texts)
    sampling: dict[str, Any] = {"do_sample": temperature > 0}
    if temperature:
        sampling |= {"temperature": temperature, "top_p": top_p, "top_k": 0}
    for start in range(0, len(order), batch):
        chosen = order[start : start + batch]
        inputs = tokenizer([texts[index] for index in chosen], return_tensors="pt", padding=True)
        tokens = model.generate(**inputs, max_new_tokens=max_tokens, **sampling)
        new = tokenizer.batch_decode(tokens[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
        for index, text in zip(chosen, new, strict=True):
            replies[index] = text
    return replies


def reply(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, chats: Sequence[Sequence[Message]], **sampling: Any
) -> list[str]:
    """One reply to each chat, sampled as ``complete`` does."""
    return complete(model, tokenizer, [render(chat) for chat in chats], **sampling)


class Model:
    """A model folder that replies to chats."""

    def __init__(self, folder: Path) -> None:
        self.model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()
        self.vocabulary = AutoTokenizer.from_pretrained(folder)

    def reply(self, chats: Sequence[Sequence[Message]], **sampling: Any) -> list[str]:
        """One reply to each chat, sampled as ``reply`` does."""
        return reply(self.model, self.vocabulary, chats, **sampling)

    @torch.inference_mode()
    def digit_weights(self, texts: Sequence[str], batch: int = 128) -> list[list[float]]:
        """The chances of the digits 0 to 5 as the next token after each text."""
        digits = [self.vocabulary.convert_tokens_to_ids(f"Ġ{digit}") for digit in range(6)]
        rows: list[list[float]] = []
        for start in range(0, len(texts), batch):
            inputs = self.vocabulary(list(texts[start : start + batch]), return_tensors="pt", padding=True)
            logits = self.model(**inputs, logits_to_keep=1).logits[:, -1]
            rows += logits.softmax(-1)[:, digits].tolist()
        return rows
