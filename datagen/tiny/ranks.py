"""Data-parallel training over processes of one thread each."""

from __future__ import annotations

import os
from typing import Any

import torch
import torch.distributed as dist


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
        for grad, part in zip(grads, torch.split(flat[:-1], [g.numel() for g in grads]), strict=True):
            grad.copy_(part.view_as(grad)).div_(self.count)
        return float(flat[-1])

    def least(self, number: int) -> int:
        """The smallest of the ranks' numbers."""
        return int(min(self.gather(number)))

    def gather(self, thing: Any) -> list[Any]:
        """Every rank's thing, in order."""
        if self.count == 1:
            return [thing]
        things = [None] * self.count
        dist.all_gather_object(things, thing)
        return things
