"""What a policy earns and how far it went: reward, divergence from a reference, and the loss on plain text."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoModelForSequenceClassification, AutoTokenizer

BATCH = 64


def _loaded(folder: Path, kind: Any = AutoModelForCausalLM) -> Any:
    return kind.from_pretrained(folder).eval()


def _padded(tokenizer: Any, texts: Sequence[str], side: str) -> Any:
    return tokenizer(list(texts), return_tensors="pt", padding=True, padding_side=side, add_special_tokens=False)


def _logps(model: Any, ids: Tensor, mask: Tensor) -> Tensor:
    """The log-probability of each token after the first, (batch, seq - 1), in nats."""
    positions = (mask.cumsum(-1) - 1).clamp(min=0)
    logits = model(input_ids=ids, attention_mask=mask, position_ids=positions).logits[:, :-1].float()
    return logits.log_softmax(-1).gather(-1, ids[:, 1:, None])[..., 0]


@torch.no_grad()
def earned(policy: Path, reference: Path, reward: Path, prompts: Sequence[str], seed: int = 0) -> dict[str, float]:
    """Means over one answer at T=1 to each prompt: the reward, and log p/p_reference of the answer, in nats.

    The mean log-ratio under the policy's own samples is an unbiased estimate of KL(policy || reference).
    """
    torch.manual_seed(seed)
    tokenizer = AutoTokenizer.from_pretrained(policy)
    model, base = _loaded(policy), _loaded(reference)
    judge = _loaded(reward, AutoModelForSequenceClassification)
    asked = [
        tokenizer.apply_chat_template([{"role": "user", "content": p}], tokenize=False, add_generation_prompt=True)
        for p in prompts
    ]
    rewards, ratios = [], []
    for start in range(0, len(asked), BATCH):
        batch = _padded(tokenizer, asked[start : start + BATCH], "left")
        width = batch["input_ids"].shape[1]
        ids = model.generate(**batch, do_sample=True, temperature=1.0, top_k=0, top_p=1.0, max_new_tokens=48)
        answer = ids[:, width:]
        ended = (answer == tokenizer.eos_token_id).cumsum(-1)
        kept = (ended == 0) | ((ended == 1) & (answer == tokenizer.eos_token_id))
        mask = torch.cat([batch["attention_mask"], kept.long()], 1)
        ratio = (_logps(model, ids, mask) - _logps(base, ids, mask))[:, width - 1 :]
        ratios += (ratio * kept).sum(-1).tolist()
        texts = [tokenizer.decode(row[m.bool()]) for row, m in zip(ids, mask, strict=True)]
        scored = _padded(tokenizer, texts, "right")
        rewards += judge(input_ids=scored["input_ids"], attention_mask=scored["attention_mask"]).logits[:, 0].tolist()
    return {"reward": sum(rewards) / len(rewards), "kl": sum(ratios) / len(ratios)}


@torch.no_grad()
def text_loss(model: Path, texts: Sequence[str]) -> float:
    """The mean loss a token on plain text, in nats."""
    tokenizer, policy = AutoTokenizer.from_pretrained(model), _loaded(model)
    total = count = 0.0
    for start in range(0, len(texts), BATCH):
        batch = _padded(tokenizer, texts[start : start + BATCH], "right")
        logps = _logps(policy, batch["input_ids"], batch["attention_mask"])
        mask = batch["attention_mask"][:, 1:]
        total -= float((logps * mask).sum())
        count += float(mask.sum())
    return total / count
