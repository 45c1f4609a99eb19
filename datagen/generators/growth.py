"""Self-Instruct's rounds: ask for tasks, judge them one by one against the pool, have those that are new solved.

A request needs the words of the tasks that it shows and not their solutions. So while the tasks of one round are being
solved the next round is asked already, which keeps the LLM busy and changes no row.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import NamedTuple

import msgspec

from datagen.aio import Background
from datagen.generators.instances import Solved, Solving
from datagen.generators.proposals import Candidate, Proposing
from datagen.record import Record
from datagen.text.tasks import TaskPool
from datagen.text.words import scoped


class Round(NamedTuple):
    """What a round rejected, and the tasks that it accepted, which are being solved."""

    rejected: list[Candidate]
    accepted: list[tuple[Candidate, asyncio.Task[Solved]]]


@dataclass(frozen=True)
class Growth:
    """A pool that grows to ``count`` machine-made tasks, ``size`` requests a round, or until nothing new comes."""

    proposing: Proposing
    solving: Solving
    pool: TaskPool
    rng: random.Random
    background: Background
    count: int
    size: int
    max_idle: int

    async def records(self) -> AsyncIterator[Record]:
        """All that the rounds make, in order; a round's rejects come first."""
        before: Round | None = None
        async for current in self._rounds():
            if before is not None:
                async for record in self._results(before):
                    yield record
            before = current
        if before is not None:
            async for record in self._results(before):
                yield record

    async def _rounds(self) -> AsyncIterator[Round]:
        number = idle = 0
        asking = self._asked(number, idle)
        while asking is not None:
            judged = [self._judged(candidate, number) for candidate in await asking]
            rejected = [candidate for candidate in judged if candidate.record.dropped]
            accepted = [candidate for candidate in judged if not candidate.record.dropped]
            number, idle = number + 1, 0 if accepted else idle + 1
            asking = self._asked(number, idle)
            solving = [self.background.start(self.solving.solve(candidate.record)) for candidate in accepted]
            yield Round(rejected, list(zip(accepted, solving, strict=True)))

    def _asked(self, number: int, idle: int) -> asyncio.Task[list[Candidate]] | None:
        """The candidates of a round, on their way; None where there is to be no further round."""
        if len(self.pool.machine) >= self.count or idle >= self.max_idle or not self.pool.human:
            return None
        numbers = range(number * self.size, (number + 1) * self.size)
        return self.background.start(self.proposing.candidates(self.proposing.requests(numbers, self.pool, self.rng)))

    def _judged(self, candidate: Candidate, number: int) -> Candidate:
        """The candidate dropped by the first rule that it breaks, or labelled and in the pool."""
        task, pool = candidate.record, self.pool
        if task.dropped:
            return candidate
        text = scoped(task, "task")
        if why := self.proposing.flaw(text):
            return candidate._replace(record=task.drop(f"self_instruct:{why}"))
        if near := pool.nearest(text):
            return candidate._replace(record=task.drop("self_instruct:similar", **near._asdict()))
        if len(pool.machine) == self.count:
            return candidate._replace(record=task.drop("self_instruct:surplus", count=self.count))
        closest = pool.accept(text, task)
        return candidate._replace(record=task.labelled(round=number, **(closest._asdict() if closest else {})))

    async def _results(self, finished: Round) -> AsyncIterator[Record]:
        """A round's records with their parents; a task's first good instance is the parent that later rows name."""
        for candidate in finished.rejected:
            yield self._descended(candidate.record, candidate)
        for candidate, solved in finished.accepted:
            found = self.solving.records(await solved, self.rng)
            first = next((one for one in found if not one.dropped), found[0])
            self.pool.records[scoped(candidate.record, "task")] = first
            for record in found:
                yield self._descended(record, candidate)

    def _descended(self, record: Record, candidate: Candidate) -> Record:
        parents = tuple(self.pool.records[example].id for example in candidate.examples)
        return msgspec.structs.replace(record, parents=parents)
