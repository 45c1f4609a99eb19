"""Rows of like lengths in one batch: less padding, and so fewer tokens to go through. Imported by the worker alone.

transformers' own sampler does this for rows with ``input_ids`` alone, which pairs and rankings have not, and draws from
the process's random state: a training that was killed in its second epoch would go on with another order, and see some
rows of the epoch twice and others never.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import torch
from transformers.trainer_pt_utils import get_length_grouped_indices


class Grouped:
    """A sampler: each epoch's order follows from the seed and the epoch's number."""

    def __init__(self, lengths: list[int], batch: int, seed: int, epoch: Callable[[], int]) -> None:
        self.lengths, self.batch, self.seed = lengths, batch, seed
        self.epoch = epoch

    def __len__(self) -> int:
        return len(self.lengths)

    def __iter__(self) -> Iterator[int]:
        drawn = torch.Generator().manual_seed(self.seed + self.epoch())
        return iter(get_length_grouped_indices(self.lengths, self.batch, generator=drawn))


def group(trainer: Any) -> None:
    """Have a trainer draw its batches so; held-out rows stay in their order."""
    args = trainer.args
    lengths = [longest(row) for row in trainer.train_dataset]
    batch, seed = args.train_batch_size * args.gradient_accumulation_steps, args.data_seed or args.seed
    # Of several processes after a resume, a sampler's set_epoch is not called.
    sampler = Grouped(lengths, batch, seed, lambda: int(trainer.state.epoch or 0))
    trainer._get_train_sampler = lambda dataset=None: sampler
    trainer._get_eval_sampler = lambda dataset: None


def longest(row: dict[str, Any]) -> int:
    """Tokens of a row's longest sequence: of a ranking's answers, or of a prompt with either side of a pair."""
    if "input_ids" in row:
        return len(row["input_ids"])
    if "answer_ids" in row:
        return max(map(len, row["answer_ids"]))
    return len(row["prompt_ids"]) + max(len(row["chosen_ids"]), len(row["rejected_ids"]))
