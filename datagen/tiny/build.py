"""The two models' sizes, their fresh weights, and their folders."""

from __future__ import annotations

import shutil
from dataclasses import dataclass, replace
from pathlib import Path

import torch
from transformers import AutoTokenizer, GenerationConfig, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerBase

from datagen.tiny import tokenizer

MODELS = Path(__file__).parent / "models"


@dataclass(frozen=True)
class Plan:
    """Size and length of one model's training."""

    hidden: int
    layers: int
    feed_forward: int
    chunks: int
    muon_rate: float = 4e-3
    adam_rate: float = 3e-3
    decay_from: float = 0.7
    mix_from: float = 0.0
    own_rounds: tuple[float, ...] = ()


PLANS = {
    "teacher": Plan(hidden=192, layers=5, feed_forward=512, chunks=220, own_rounds=(0.45, 0.6, 0.72, 0.84, 0.92)),
    "base": Plan(hidden=128, layers=4, feed_forward=384, chunks=72),
}
# A second stage from saved weights: the final mix at once, a lower rate, decay over most of it.
REFINED = replace(
    PLANS["teacher"],
    chunks=180,
    muon_rate=3e-3,
    adam_rate=2.2e-3,
    decay_from=0.3,
    mix_from=1.0,
    own_rounds=(0.0, 0.25, 0.5, 0.7, 0.85),
)


def shared_vocabulary(which: str, folder: Path | None = None) -> PreTrainedTokenizerBase:
    """A fresh tokenizer for a fresh teacher; else the one of ``folder``, or the teacher's, where there is one."""
    if which == "base" and (MODELS / "teacher" / "tokenizer.json").exists():
        folder = MODELS / "teacher"
    return AutoTokenizer.from_pretrained(folder) if folder else tokenizer.train(0)


def new_model(plan: Plan, vocabulary: PreTrainedTokenizerBase) -> LlamaForCausalLM:
    """A Llama with heads of 32 (the smallest that every engine accepts), tied embeddings and 512 positions."""
    end, pad = vocabulary.eos_token_id, vocabulary.pad_token_id
    config = LlamaConfig(
        vocab_size=len(vocabulary),
        hidden_size=plan.hidden,
        intermediate_size=plan.feed_forward,
        num_hidden_layers=plan.layers,
        num_attention_heads=plan.hidden // 32,
        num_key_value_heads=plan.hidden // 32,
        max_position_embeddings=512,
        tie_word_embeddings=True,
        bos_token_id=None,
        eos_token_id=end,
        pad_token_id=pad,
    )
    model = LlamaForCausalLM(config)
    model.generation_config = GenerationConfig(eos_token_id=end, pad_token_id=pad)
    return model


def save(
    model: LlamaForCausalLM, average: dict[str, torch.Tensor], vocabulary: PreTrainedTokenizerBase, out: Path
) -> None:
    """The averaged weights in bfloat16 with tokenizer and configuration; the folder appears whole or not at all."""
    fresh = out.with_name(f".{out.name}-new")
    shutil.rmtree(fresh, ignore_errors=True)
    twin = LlamaForCausalLM(model.config)
    twin.load_state_dict(average)
    twin.generation_config = model.generation_config
    twin.to(torch.bfloat16).save_pretrained(fresh)
    vocabulary.save_pretrained(fresh)
    (fresh / "model.safetensors").chmod(0o644)
    if (card := out / "README.md").exists():
        shutil.copy(card, fresh)
    old = out.with_name(f".{out.name}-old")
    shutil.rmtree(old, ignore_errors=True)
    if out.exists():
        out.rename(old)
    fresh.rename(out)
    shutil.rmtree(old, ignore_errors=True)
