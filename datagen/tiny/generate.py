"""Batched sampling from a small model, for training rounds, measuring and tests."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from transformers import PreTrainedModel, PreTrainedTokenizerBase

from datagen.record import Message


def render(messages: Sequence[Message]) -> str:
    """The chat as the shipped template writes it, up to the assistant's turn (a test compares the two)."""
    return "".join(f"<|{m.role}|> {m.content}<|end|>" for m in messages) + "<|assistant|>"


@torch.inference_mode()
def reply(
    model: PreTrainedModel, tokenizer: PreTrainedTokenizerBase, chats: Sequence[Sequence[Message]], *,
    temperature: float = 0.0, top_p: float = 1.0, max_tokens: int = 64, seed: int = 0, batch: int = 256,
) -> list[str]:
    """One reply to each chat; greedy at temperature 0."""
    torch.manual_seed(seed)
    texts = [render(chat) for chat in chats]
    order = sorted(range(len(texts)), key=lambda index: len(texts[index]))
    replies = [""] * len(texts)
    sampling = {"do_sample": True, "temperature": temperature, "top_p": top_p, "top_k": 0} if temperature else {"do_sample": False}
    for start in range(0, len(order), batch):
        chosen = order[start : start + batch]
        inputs = tokenizer([texts[index] for index in chosen], return_tensors="pt", padding=True)
        tokens = model.generate(**inputs, max_new_tokens=max_tokens, **sampling)
        new = tokenizer.batch_decode(tokens[:, inputs["input_ids"].shape[1] :], skip_special_tokens=True)
        for index, text in zip(chosen, new, strict=True):
            replies[index] = text
    return replies
