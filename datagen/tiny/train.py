"""Train tiny-teacher or tiny-base from scratch: ``python -m datagen.tiny.train teacher|base``.

Muon (Jordan et al. 2024) for the matrices, AdamW for the rest, warm-up, constant, linear decay; the saved weights are a
moving average. The length is counted in chunks of documents; ``--minutes`` caps it by hurrying through the
schedule. From half time on, the teacher answers thousands of fresh tasks by itself, and the grading documents take
their answers from there.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from random import Random

import torch
from torch.multiprocessing.spawn import spawn
from torch.nn import functional as F
from transformers import AutoModelForCausalLM, LlamaForCausalLM, PreTrainedTokenizerBase

from datagen.tiny import roles, world
from datagen.tiny.build import MODELS, PLANS, REFINED, Plan, new_model, save, shared_vocabulary
from datagen.tiny.commands import ask
from datagen.tiny.corpus import Batch, draw_chunk
from datagen.tiny.generate import reply
from datagen.tiny.muon import Muon
from datagen.tiny.probe import progress_line, propose
from datagen.tiny.ranks import Ranks
from datagen.tiny.roles import OwnAnswer

OWN_TASKS = 4000


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


def own_answers(model: LlamaForCausalLM, vocabulary: PreTrainedTokenizerBase, seed: str, count: int) -> list[OwnAnswer]:
    """Tasks, drawn or proposed by the model, with its own answers at temperature 1.1 and what it says when it grades.

    None of the tasks is held out.
    """
    rng = Random(seed)
    drawn = [world.draw(rng, novel=rng.random() < 0.6).prompt for _ in range(count * 2 // 3)]
    proposed = propose(model, vocabulary, rng, count // 3)
    tasks = [task for task in (*drawn, *proposed) if not world.is_held_out(task)]
    answers = reply(
        model, vocabulary, [[roles.user(task)] for task in tasks], temperature=1.1, seed=rng.randrange(2**31)
    )
    chats = [
        ask("grade/accuracy", prompt=[roles.user(task)], instruction=task, answer=text)
        for task, text in zip(tasks, answers, strict=True)
    ]
    heads = [text.rpartition(" Score")[0] for text in reply(model, vocabulary, chats)]
    return [OwnAnswer(*one) for one in zip(tasks, answers, heads, strict=True)]


class Clock:
    """Minutes since the start, and what is due again."""

    def __init__(self) -> None:
        self.began = time.monotonic()
        self.last: dict[str, float] = {}

    def minutes(self) -> float:
        """Minutes since the start."""
        return (time.monotonic() - self.began) / 60

    def due(self, name: str, every_minutes: float) -> bool:
        """Whether ``name`` was last due so long ago; if so, it starts anew."""
        now = self.minutes()
        if now - self.last.get(name, 0.0) < every_minutes:
            return False
        self.last[name] = now
        return True


class Run:
    """One training run; every rank holds the same weights."""

    def __init__(
        self, which: str, *, seed: int, minutes: float, out: Path, chunks: int | None, refine: bool, ranks: Ranks
    ) -> None:
        self.which, self.seed, self.minutes, self.out, self.ranks = which, seed, minutes, out, ranks
        self.plan = REFINED if refine else PLANS[which]
        self.chunks = chunks or self.plan.chunks
        torch.manual_seed(seed)
        self.vocabulary = shared_vocabulary(which, out if refine else None)
        self.model = new_model(self.plan, self.vocabulary)
        if refine:
            self.model.load_state_dict(AutoModelForCausalLM.from_pretrained(out, dtype=torch.float32).state_dict())
        self.parameters = list(self.model.parameters())
        self.average = {name: value.detach().clone() for name, value in self.model.state_dict().items()}
        self.optimizers = optimizers(self.model, self.plan)
        self.own: list[OwnAnswer] = []
        self.rounds = list(self.plan.own_rounds)
        self.progress, self.step, self.tokens = 0.0, 0, 0
        self.clock = Clock()

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
        loss.backward()  # type: ignore[no-untyped-call]  # torch
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
        fresh = [one for part in self.ranks.gather(fresh) for one in part]
        right = sum(roles.grade(one.instruction, one.answer) == 5 for one in fresh)
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

    def learn_chunk(self, index: int) -> None:
        """Train on one chunk per rank."""
        mix = max(self.progress, self.plan.mix_from)
        number = index * self.ranks.count + self.ranks.rank
        batches = draw_chunk(self.vocabulary, self.which, self.seed, number, mix, self.own)
        batches = batches[: self.ranks.least(len(batches))]
        for done, batch in enumerate(batches, start=1):
            loss, elapsed = self.update(batch, self.clock.minutes())
            learned = (index + done / len(batches)) * self.ranks.count / self.chunks
            self.progress = max(learned, elapsed / self.minutes)
            if self.progress >= 1:
                return
            if self.clock.due("say", 0.5):
                speed = self.tokens / (elapsed * 60)
                self.say(
                    f"{elapsed:6.1f} min {self.progress:6.1%}  step {self.step}  loss {loss:.3f}  {speed:,.0f} tok/s"
                )

    def go(self) -> None:
        """Train to the end, probing every 9 minutes and saving every 8."""
        size = sum(p.numel() for p in self.parameters)
        self.say(f"{self.which}: {size:,} parameters, {self.chunks} chunks, {self.ranks.count} ranks")
        index = 0
        while self.progress < 1:
            self.answer_own(index)
            self.learn_chunk(index)
            index += 1
            if self.ranks.rank == 0 and self.which == "teacher" and self.clock.due("probe", 9):
                self.say(self.probe())
            if self.ranks.rank == 0 and (self.progress >= 1 or self.clock.due("save", 8)):
                save(self.model, self.average, self.vocabulary, self.out)
        spent = f"{self.step} steps, {self.tokens:,} tokens, {index} chunks a rank, {self.clock.minutes():.1f} minutes"
        self.say(f"{self.which}: {spent} -> {self.out}")


def _rank(
    rank: int, which: str, ranks: int, seed: int, minutes: float, out: Path, chunks: int | None, refine: bool
) -> None:
    torch.set_num_threads(1)
    Run(which, seed=seed, minutes=minutes, out=out, chunks=chunks, refine=refine, ranks=Ranks(rank, ranks)).go()


def main() -> None:
    """Parse the command line and train."""
    parser = argparse.ArgumentParser(prog="python -m datagen.tiny.train", description=__doc__.splitlines()[0])
    parser.add_argument("which", choices=sorted(PLANS))
    parser.add_argument("--minutes", type=float, default=600.0, help="finish by then, with fewer chunks if need be")
    parser.add_argument("--ranks", type=int, default=2, help="processes of one thread each (default 2, as shipped)")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--chunks", type=int, help="chunks of 4,000 documents (default: as shipped)")
    parser.add_argument("--refine", action="store_true", help="go on from the saved teacher, in a shorter second stage")
    parser.add_argument("--out", type=Path)
    given = parser.parse_args()
    out = given.out or MODELS / given.which
    out.parent.mkdir(parents=True, exist_ok=True)
    spawn(_rank, (given.which, given.ranks, given.seed, given.minutes, out, given.chunks, given.refine), given.ranks)  # type: ignore[no-untyped-call]


if __name__ == "__main__":
    main()
