"""Train tiny-teacher or tiny-base from scratch: ``python -m datagen.tiny.train teacher|base``.

Muon (Jordan et al. 2024) for the matrices, AdamW for the rest, warm-up, constant, linear decay; the saved weights are an
exponential moving average. The length is counted in chunks of documents, so a seed gives the same run anywhere;
``--minutes`` only caps it by hurrying through the schedule. From half time on, the teacher answers thousands of fresh
tasks by itself, and the grading documents take their answers from there.
"""

from __future__ import annotations

import argparse
import os
import shutil
import time
from collections.abc import Iterator
from concurrent.futures import Future, ProcessPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from random import Random

import torch
from torch.nn import functional as F
from transformers import GenerationConfig, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerBase

from datagen.tiny import measure, roles, tokenizer, world
from datagen.tiny.corpus import Batch, draw_chunk
from datagen.tiny.generate import reply

MODELS = Path(__file__).parent / "models"
OWN_ROUNDS = (0.45, 0.6, 0.72, 0.84, 0.92)
OWN_TASKS = 3000


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


PLANS = {
    "teacher": Plan(hidden=192, layers=5, feed_forward=512, chunks=160),
    "base": Plan(hidden=128, layers=4, feed_forward=384, chunks=40),
}


def new_model(plan: Plan, vocabulary: PreTrainedTokenizerBase) -> LlamaForCausalLM:
    """A Llama with heads of 32 (the smallest that every engine accepts), tied embeddings and 512 positions."""
    end, pad = vocabulary.eos_token_id, vocabulary.pad_token_id
    config = LlamaConfig(
        vocab_size=len(vocabulary), hidden_size=plan.hidden, intermediate_size=plan.feed_forward,
        num_hidden_layers=plan.layers, num_attention_heads=plan.hidden // 32, num_key_value_heads=plan.hidden // 32,
        max_position_embeddings=512, tie_word_embeddings=True, bos_token_id=None, eos_token_id=end, pad_token_id=pad,
    )
    model = LlamaForCausalLM(config)
    model.generation_config = GenerationConfig(eos_token_id=end, pad_token_id=pad)
    return model


def loss_of(model: LlamaForCausalLM, batch: Batch) -> torch.Tensor:
    """Weighted mean of the next-token losses."""
    with torch.autocast("cpu", torch.bfloat16, enabled=os.environ.get("TINY_FP32") is None):
        logits = model(input_ids=batch.ids[:, :-1], use_cache=False).logits
    weights = batch.weights[:, 1:].flatten()
    losses = F.cross_entropy(logits.float().flatten(0, 1), batch.ids[:, 1:].flatten(), reduction="none")
    return (losses * weights).sum() / weights.sum()


def optimizers(model: LlamaForCausalLM, plan: Plan) -> list[torch.optim.Optimizer]:
    """Muon for the layers' matrices, AdamW for embeddings and norms."""
    matrices = [p for name, p in model.named_parameters() if p.ndim == 2 and "embed" not in name]
    others = [p for name, p in model.named_parameters() if p.ndim != 2 or "embed" in name]
    return [
        torch.optim.Muon(matrices, lr=plan.muon_rate, weight_decay=0.01, adjust_lr_fn="match_rms_adamw"),
        torch.optim.AdamW(others, lr=plan.adam_rate, betas=(0.9, 0.98), weight_decay=0.0),
    ]


def rate(progress: float, step: int, decay_from: float) -> float:
    """The share of the peak learning rate: warm-up, constant, linear decay."""
    decay = (1 - progress) / (1 - decay_from) if progress > decay_from else 1.0
    return min(1.0, (step + 1) / 150) * max(0.02, decay)


def save(model: LlamaForCausalLM, average: dict[str, torch.Tensor], vocabulary: PreTrainedTokenizerBase, out: Path) -> None:
    """The averaged weights in bfloat16 with tokenizer and configuration; the folder appears whole or not at all."""
    fresh = out.with_name(f".{out.name}-new")
    shutil.rmtree(fresh, ignore_errors=True)
    twin = LlamaForCausalLM(model.config)
    twin.load_state_dict(average)
    twin.generation_config = model.generation_config
    twin.to(torch.bfloat16).save_pretrained(fresh)
    vocabulary.save_pretrained(fresh)
    if (card := out / "README.md").exists():
        shutil.copy(card, fresh)
    old = out.with_name(f".{out.name}-old")
    shutil.rmtree(old, ignore_errors=True)
    if out.exists():
        out.rename(old)
    fresh.rename(out)
    shutil.rmtree(old, ignore_errors=True)


def own_answers(model: LlamaForCausalLM, vocabulary: PreTrainedTokenizerBase, seed: str) -> list[tuple[str, str]]:
    """Tasks with the model's own answers at temperature 1: half drawn, half proposed by itself; none of them held out."""
    rng = Random(seed)
    drawn = [world.draw(rng, novel=rng.random() < 0.6).prompt for _ in range(OWN_TASKS * 2 // 3)]
    proposed = measure.propose(model, vocabulary, rng, OWN_TASKS // 3)
    tasks = [task for task in (*drawn, *proposed) if not world.is_held_out(task)]
    answers = reply(model, vocabulary, [[roles.user(task)] for task in tasks], temperature=1.1, seed=rng.randrange(2**31))
    return list(zip(tasks, answers, strict=True))


class Chunks:
    """Chunks in order, drawn one ahead by another process."""

    def __init__(self, vocabulary: PreTrainedTokenizerBase, which: str, seed: int, total: int) -> None:
        self.pool = ProcessPoolExecutor(1)
        self.vocabulary, self.which, self.seed, self.total = vocabulary, which, seed, total

    def __call__(self, index: int, progress: float, own: list[tuple[str, str]]) -> Future[list[Batch]]:
        return self.pool.submit(draw_chunk, self.vocabulary, self.which, self.seed, index, progress, own)


def train(which: str, *, seed: int, minutes: float, out: Path, chunks: int | None = None) -> None:
    """Train one model and save it into ``out``, first after some minutes and then again and again."""
    torch.manual_seed(seed)
    plan = PLANS[which]
    total = chunks or plan.chunks
    vocabulary = tokenizer.train(0)
    model = new_model(plan, vocabulary)
    average = {name: value.detach().clone() for name, value in model.state_dict().items()}
    optimizer = optimizers(model, plan)
    print(f"{which}: {sum(p.numel() for p in model.parameters()):,} parameters, {total} chunks", flush=True)
    draw = Chunks(vocabulary, which, seed, total)
    own: list[tuple[str, str]] = []
    rounds = list(OWN_ROUNDS) if which == "teacher" else []
    began = time.monotonic()
    progress, step, tokens, said, measured, saved = 0.0, 0, 0, began, began, began
    pending, index = draw(0, 0.0, own), 0
    while progress < 1:
        batches = pending.result()
        if rounds and progress >= rounds[0]:
            while rounds and progress >= rounds[0]:
                rounds.pop(0)
            own = own[-OWN_TASKS:] + own_answers(model, vocabulary, f"own-{seed}-{index}")
            right = sum(roles.grade(task, given) == 5 for task, given in own[-OWN_TASKS:])
            print(f"own answers: {len(own)}, {right} of the newest {OWN_TASKS} right", flush=True)
        pending = draw(index + 1, progress, own)
        for number, batch in enumerate(batches):
            elapsed = (time.monotonic() - began) / 60
            progress = max((index + number / len(batches)) / total, elapsed / minutes)
            if progress >= 1:
                break
            for group, peak in zip(optimizer, (plan.muon_rate, plan.adam_rate), strict=True):
                group.param_groups[0]["lr"] = peak * rate(progress, step, plan.decay_from)
            loss = loss_of(model, batch)
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 1.0)
            for group in optimizer:
                group.step()
                group.zero_grad()
            keep = min(0.997, step / (step + 20))
            for name, value in model.state_dict().items():
                average[name].lerp_(value, 1 - keep)
            step, tokens = step + 1, tokens + int((batch.weights > 0).sum())
            now = time.monotonic()
            if now - said > 30:
                said = now
                print(f"{elapsed:6.1f} min  {progress:5.1%}  step {step}  loss {loss.item():.3f}  {tokens / (now - began):,.0f} tok/s", flush=True)
        index += 1
        if time.monotonic() - measured > 240 and which == "teacher":
            measured = time.monotonic()
            print(measure.quick(model, average, vocabulary), flush=True)
        if time.monotonic() - saved > 480:
            saved = time.monotonic()
            save(model, average, vocabulary, out)
    pending.cancel()
    draw.pool.shutdown()
    save(model, average, vocabulary, out)
    print(f"{which}: {step} steps, {tokens:,} tokens, {(time.monotonic() - began) / 60:.1f} minutes -> {out}", flush=True)
    if which == "teacher":
        print(measure.quick(model, average, vocabulary), flush=True)


def main() -> None:
    """Parse the command line and train."""
    parser = argparse.ArgumentParser(prog="python -m datagen.tiny.train", description=__doc__.splitlines()[0])
    parser.add_argument("which", choices=sorted(PLANS))
    parser.add_argument("--minutes", type=float, default=600.0, help="finish by then, with fewer chunks if need be")
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--chunks", type=int, help="chunks of 4,000 documents (default: as shipped)")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    torch.set_num_threads(given.threads)
    out = given.out or MODELS / given.which
    out.parent.mkdir(parents=True, exist_ok=True)
    train(given.which, seed=given.seed, minutes=given.minutes, out=out, chunks=given.chunks)


if __name__ == "__main__":
    main()
