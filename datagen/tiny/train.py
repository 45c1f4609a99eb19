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
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import Any

import torch
import torch.distributed as dist
from torch.nn import functional as F
from transformers import AutoTokenizer, GenerationConfig, LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerBase

from datagen.tiny import roles, tokenizer, world
from datagen.tiny.corpus import Batch, draw_chunk
from datagen.tiny.generate import reply
from datagen.tiny.muon import Muon
from datagen.tiny.probe import progress_line, propose

MODELS = Path(__file__).parent / "models"
OWN_ROUNDS = (0.45, 0.6, 0.72, 0.84, 0.92)
OWN_TASKS = 4000


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
    "teacher": Plan(hidden=192, layers=5, feed_forward=512, chunks=220),
    "base": Plan(hidden=128, layers=4, feed_forward=384, chunks=24),
}


def shared_vocabulary(which: str) -> PreTrainedTokenizerBase:
    """A fresh tokenizer for the teacher; the teacher's, where there is one, for the base."""
    if which == "base" and (MODELS / "teacher" / "tokenizer.json").exists():
        return AutoTokenizer.from_pretrained(MODELS / "teacher")
    return tokenizer.train(0)


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


def loss_of(model: LlamaForCausalLM, batch: Batch) -> torch.Tensor:
    """Weighted mean of the next-token losses."""
    hidden = model.model(input_ids=batch.ids[:, :-1], use_cache=False).last_hidden_state
    learned = batch.weights[:, 1:] > 0
    weights = batch.weights[:, 1:][learned]
    losses = F.cross_entropy(model.lm_head(hidden[learned]), batch.ids[:, 1:][learned], reduction="none")
    return (losses * weights).sum() / weights.sum()


def optimizers(model: LlamaForCausalLM, plan: Plan) -> list[torch.optim.Optimizer]:
    """Muon for the layers' matrices, AdamW for embeddings and norms."""
    matrices = [p for name, p in model.named_parameters() if p.ndim == 2 and "embed" not in name]
    others = [p for name, p in model.named_parameters() if p.ndim != 2 or "embed" in name]
    return [
        Muon(matrices, lr=plan.muon_rate),
        torch.optim.AdamW(others, lr=plan.adam_rate, betas=(0.9, 0.98), weight_decay=0.0),
    ]


def rate(progress: float, step: int, decay_from: float) -> float:
    """The share of the peak learning rate: warm-up, constant, linear decay."""
    decay = (1 - progress) / (1 - decay_from) if progress > decay_from else 1.0
    return min(1.0, (step + 1) / 150) * max(0.02, decay)


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


def own_answers(
    model: LlamaForCausalLM, vocabulary: PreTrainedTokenizerBase, seed: str, count: int
) -> list[tuple[str, str]]:
    """Tasks with the model's own answers at temperature 1: half drawn, half proposed by itself; none of them held out."""
    rng = Random(seed)
    drawn = [world.draw(rng, novel=rng.random() < 0.6).prompt for _ in range(count * 2 // 3)]
    proposed = propose(model, vocabulary, rng, count // 3)
    tasks = [task for task in (*drawn, *proposed) if not world.is_held_out(task)]
    answers = reply(
        model, vocabulary, [[roles.user(task)] for task in tasks], temperature=1.1, seed=rng.randrange(2**31)
    )
    return list(zip(tasks, answers, strict=True))


class Ranks:
    """Equal processes, one core each, that average their gradients; coarse enough to share a busy machine."""

    def __init__(self, rank: int, count: int) -> None:
        self.rank, self.count = rank, count
        if count > 1:
            os.environ |= {"MASTER_ADDR": "127.0.0.1", "MASTER_PORT": os.environ.get("TINY_PORT", "29511")}
            dist.init_process_group("gloo", rank=rank, world_size=count)

    def average(self, parameters: list[torch.Tensor], elapsed: float) -> float:
        """Average the gradients in place; gives back rank 0's elapsed time, so that all ranks decide alike."""
        if self.count == 1:
            return elapsed
        grads = [p.grad for p in parameters if p.grad is not None]
        flat = torch.cat([g.flatten() for g in grads] + [torch.tensor([elapsed if self.rank == 0 else 0.0])])
        dist.all_reduce(flat)
        for grad, part in zip(grads, flat[:-1].split([g.numel() for g in grads]), strict=True):
            grad.copy_(part.view_as(grad)).div_(self.count)
        return float(flat[-1])

    def least(self, number: int) -> int:
        """The smallest of the ranks' numbers."""
        return min(self.gather(number))

    def gather(self, thing: Any) -> list[Any]:
        """Every rank's thing, in order."""
        if self.count == 1:
            return [thing]
        things = [None] * self.count
        dist.all_gather_object(things, thing)
        return things


class Run:
    """One training run; every rank holds the same weights."""

    def __init__(self, which: str, *, seed: int, minutes: float, out: Path, chunks: int | None, ranks: Ranks) -> None:
        self.which, self.seed, self.minutes, self.out, self.ranks = which, seed, minutes, out, ranks
        self.plan = PLANS[which]
        self.chunks = chunks or self.plan.chunks
        torch.manual_seed(seed)
        self.vocabulary = shared_vocabulary(which)
        self.model = new_model(self.plan, self.vocabulary)
        self.parameters = list(self.model.parameters())
        self.average = {name: value.detach().clone() for name, value in self.model.state_dict().items()}
        self.optimizers = optimizers(self.model, self.plan)
        self.own: list[tuple[str, str]] = []
        self.rounds = list(OWN_ROUNDS) if which == "teacher" else []
        self.progress, self.step, self.tokens = 0.0, 0, 0

    def say(self, text: str) -> None:
        """Print on rank 0."""
        if self.ranks.rank == 0:
            print(text, flush=True)

    def update(self, batch: Batch, elapsed: float) -> tuple[float, float]:
        """One step; gives back the loss and rank 0's elapsed minutes."""
        share = rate(self.progress, self.step, self.plan.decay_from)
        for optimizer, peak in zip(self.optimizers, (self.plan.muon_rate, self.plan.adam_rate), strict=True):
            optimizer.param_groups[0]["lr"] = peak * share
            optimizer.zero_grad()
        loss = loss_of(self.model, batch)
        loss.backward()
        elapsed = self.ranks.average(self.parameters, elapsed)
        torch.nn.utils.clip_grad_norm_(self.parameters, 1.0)
        for optimizer in self.optimizers:
            optimizer.step()
        keep = min(0.997, self.step / (self.step + 20))
        for name, value in self.model.state_dict().items():
            self.average[name].lerp_(value, 1 - keep)
        self.step += 1
        self.tokens += self.ranks.count * int((batch.ids != self.vocabulary.pad_token_id).sum())
        return loss.item(), elapsed

    def answer_own(self, index: int) -> None:
        """A round of own answers, when its time has come; the newest two rounds are kept."""
        if not self.rounds or self.progress < self.rounds[0]:
            return
        self.rounds = [moment for moment in self.rounds if moment > self.progress]
        fresh = own_answers(
            self.model, self.vocabulary, f"own-{self.seed}-{index}-{self.ranks.rank}", OWN_TASKS // self.ranks.count
        )
        fresh = [pair for part in self.ranks.gather(fresh) for pair in part]
        right = sum(roles.grade(*pair) == 5 for pair in fresh)
        self.say(f"own answers: {right} of {len(fresh)} right")
        self.own = self.own[-OWN_TASKS:] + fresh

    def probe(self) -> str:
        """A line of progress, by the averaged weights."""
        kept = {name: value.clone() for name, value in self.model.state_dict().items()}
        self.model.load_state_dict(self.average)
        line = progress_line(self.model.eval(), self.vocabulary)
        self.model.load_state_dict(kept)
        self.model.train()
        return line

    def go(self) -> None:
        """Train to the end, reporting and saving on the way."""
        self.say(
            f"{self.which}: {sum(p.numel() for p in self.parameters):,} parameters, {self.chunks} chunks, {self.ranks.count} ranks"
        )
        began = said = measured = saved = time.monotonic()
        index = 0
        while self.progress < 1:
            self.answer_own(index)
            batches = draw_chunk(
                self.vocabulary,
                self.which,
                self.seed,
                index * self.ranks.count + self.ranks.rank,
                self.progress,
                self.own,
            )
            batches = batches[: self.ranks.least(len(batches))]
            for number, batch in enumerate(batches):
                loss, elapsed = self.update(batch, (time.monotonic() - began) / 60)
                self.progress = max(
                    (index + (number + 1) / len(batches)) * self.ranks.count / self.chunks, elapsed / self.minutes
                )
                if self.progress >= 1:
                    break
                if time.monotonic() - said > 30:
                    said = time.monotonic()
                    self.say(
                        f"{elapsed:6.1f} min  {self.progress:6.1%}  step {self.step}  loss {loss:.3f}  {self.tokens / (elapsed * 60):,.0f} tok/s"
                    )
            index += 1
            if self.ranks.rank == 0 and self.which == "teacher" and time.monotonic() - measured > 540:
                measured = time.monotonic()
                self.say(self.probe())
            if self.ranks.rank == 0 and time.monotonic() - saved > 480:
                saved = time.monotonic()
                save(self.model, self.average, self.vocabulary, self.out)
        if self.ranks.rank == 0:
            save(self.model, self.average, self.vocabulary, self.out)
        self.say(
            f"{self.which}: {self.step} steps, {self.tokens:,} tokens, {(time.monotonic() - began) / 60:.1f} minutes -> {self.out}"
        )


def _rank(rank: int, which: str, ranks: int, seed: int, minutes: float, out: Path, chunks: int | None) -> None:
    torch.set_num_threads(1)
    Run(which, seed=seed, minutes=minutes, out=out, chunks=chunks, ranks=Ranks(rank, ranks)).go()


def main() -> None:
    """Parse the command line and train."""
    parser = argparse.ArgumentParser(prog="python -m datagen.tiny.train", description=__doc__.splitlines()[0])
    parser.add_argument("which", choices=sorted(PLANS))
    parser.add_argument("--minutes", type=float, default=600.0, help="finish by then, with fewer chunks if need be")
    parser.add_argument("--ranks", type=int, default=2, help="processes of one thread each (default 2, as shipped)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--chunks", type=int, help="chunks of 4,000 documents (default: as shipped)")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    out = given.out or MODELS / given.which
    out.parent.mkdir(parents=True, exist_ok=True)
    torch.multiprocessing.spawn(
        _rank, (given.which, given.ranks, given.seed, given.minutes, out, given.chunks), given.ranks
    )


if __name__ == "__main__":
    main()
