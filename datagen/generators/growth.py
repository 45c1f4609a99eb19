"""Self-Instruct's rounds: ask for tasks, judge them one by one against the pool, have those that are new solved.

What keeps the LLM busy, and changes no row from one run to the next: a round is asked while the one before it is still
under way, so that it samples from the pool as it was one round ago; a task is solved from the moment that it is
accepted; and rounds go on while the tasks of earlier ones are being solved.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import AsyncIterator
from dataclasses import dataclass
from typing import NamedTuple

import msgspec

from datagen.aio import Background
from datagen.generators.instances import Solved, Solving
from datagen.generators.proposals import Candidate, Proposing
from datagen.llm import trail
from datagen.record import Record
from datagen.text.tasks import TaskPool
from datagen.text.words import scoped

_AT_ONCE = 2  # rounds under way
_A_REPLY = 20  # tasks that a reply brings at most, more or less: what is expected of the first round
_UNSOLVED = 3  # rounds whose tasks are being solved


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
        unsolved: deque[Round] = deque()
        async for current in self._rounds():
            unsolved.append(current)
            if len(unsolved) > _UNSOLVED:
                async for record in self._results(unsolved.popleft()):
                    yield record
        for finished in unsolved:
            async for record in self._results(finished):
                yield record

    async def _rounds(self) -> AsyncIterator[Round]:
        asked: deque[list[asyncio.Task[list[Candidate]]]] = deque()
        number = idle = 0
        while True:
            while self._wants_more(len(asked), number, idle):
                asked.append(self._asked(number + len(asked)))
            if not asked:
                return
            current = await self._received(asked.popleft(), number)
            number, idle = number + 1, 0 if current.accepted else idle + 1
            yield current

    def _wants_more(self, under_way: int, judged: int, idle: int) -> bool:
        """Whether to ask another round: none beyond those that at the rate so far will bring all that is missing."""
        missing = self.count - len(self.pool.machine)
        if missing <= 0 or idle + under_way >= self.max_idle or not self.pool.human:
            return False
        expected = len(self.pool.machine) / judged if judged else self.size * _A_REPLY
        return under_way < _AT_ONCE and under_way * expected < missing

    def _asked(self, number: int) -> list[asyncio.Task[list[Candidate]]]:
        """A round's requests, on their way."""
        numbers = range(number * self.size, (number + 1) * self.size)
        requests = self.proposing.requests(numbers, self.pool, self.rng)
        return [self.background.start(self.proposing.ask(request)) for request in requests]

    async def _received(self, asked: list[asyncio.Task[list[Candidate]]], number: int) -> Round:
        """What comes of a round's requests, judged in their order; what is accepted is being solved already."""
        current = Round([], [])
        for request in asked:
            for candidate in await request:
                judged = self._judged(candidate, number)
                if judged.record.dropped:
                    current.rejected.append(judged)
                else:
                    current.accepted.append((judged, self.background.start(self.solving.solve(judged.record))))
            await asyncio.sleep(0)  # to judge a long round holds up no reply
        return current

    def _judged(self, candidate: Candidate, number: int) -> Candidate:
        """The candidate dropped by the first rule that it breaks, or labelled and in the pool."""
        task, pool = trail.link(candidate.record, candidate.calls), self.pool
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
