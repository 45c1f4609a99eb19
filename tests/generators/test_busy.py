"""How busy generators keep a server that takes 256 requests at once, in time that passes only while all wait.

So it is the order of the calls that is measured, and no CPU; ``benchmarks/busy_share.py`` measures both.
"""

from __future__ import annotations

import asyncio
import random
import selectors
from collections.abc import AsyncIterator, Coroutine, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any, cast

import pytest

from datagen.aio import ordered_map
from datagen.generators.evol_instruct import evol_instruct
from datagen.generators.self_chat import self_chat
from datagen.generators.self_instruct import self_instruct
from datagen.llm.base import Reply, Sampling
from datagen.llm.client import LLM
from datagen.llm.journal import Journal
from datagen.llm.pace import Slots
from datagen.record import Message, Record, instruction
from datagen.rng import derive

SLOTS = 256
ROUNDS = 10
LETTERS = "abcdefghijklmnopqrstuvwxyz"


class Clock(selectors.DefaultSelector):
    """Does not wait for a moment, but goes there."""

    def __init__(self) -> None:
        super().__init__()
        self.now = 0.0

    def select(self, timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
        found = super().select(0)
        if not found:
            self.now += timeout or 0.0
        return found


class Memory:
    """A journal without a disk, whose threads would wait in real time."""

    def get(self, name: bytes) -> None:
        return None

    async def put(self, name: bytes, reply: Reply, **_: Any) -> Reply:
        return reply


@dataclass
class Server:
    """Replies as a teacher would, after 0.5 to 1.5 s."""

    model: str = "m"
    concurrency: int = SLOTS
    identity: dict[str, Any] = field(default_factory=dict)
    slots: Slots = field(default_factory=lambda: Slots(SLOTS))
    tickets: int = 0
    busy_s: float = 0.0
    times: list[float] = field(default_factory=list)

    async def chat(self, messages: Sequence[Message], sampling: Sampling, sample: int = 0) -> Reply:
        self.tickets += 1
        rng = derive([message.content for message in messages], sample)
        seconds = rng.uniform(0.5, 1.5)
        await self.slots.take(self.tickets)
        await asyncio.sleep(seconds)
        self.slots.give()
        self.busy_s += seconds
        self.times.append(asyncio.get_running_loop().time())
        return Reply(teacher(messages[-1].content, rng))

    async def close(self) -> None:
        """Nothing to close."""

    @property
    def share(self) -> float:
        return self.busy_s / SLOTS / max(self.times)


def text(rng: random.Random, words: int = 9) -> str:
    return " ".join("".join(rng.choices(LETTERS, k=5)) for _ in range(words))


def teacher(prompt: str, rng: random.Random) -> str:
    if "collection of twenty" in prompt:
        fields = "{n}. Instruction: {task}\n{n}. Input:\n<noinput>\n{n}. Output:\nx"
        return "\n###\n".join(fields.format(n=n, task=text(rng)) for n in (4,))
    if "Continue the list" in prompt:
        return "\n".join(f"{n}. {text(rng)}" for n in range(9, 17))
    if "Classification?" in prompt or "Compare two tasks" in prompt:
        return "No"
    return f"Input: {text(rng)}\nOutput: {text(rng)}" if "Task:" in prompt else text(rng)


SEEDS = [instruction(text(derive(n)), "x") for n in range(20)]


async def drained(rows: AsyncIterator[Any]) -> None:
    async for _ in rows:
        pass


def in_no_time(work: Coroutine[Any, Any, None]) -> None:
    clock = Clock()
    loop = asyncio.SelectorEventLoop(clock)
    loop.time = lambda: clock.now  # type: ignore[method-assign]
    try:
        loop.run_until_complete(work)
    finally:
        loop.close()


def opened(server: Server) -> LLM:
    return LLM(server, cast(Journal, Memory()))


async def looped(server: Server, count: int, prompts_per_round: int, **options: Any) -> None:
    given = {"count": count, "prompts_per_round": prompts_per_round, **options}
    await drained(self_instruct(SEEDS, llm=opened(server), rng=random.Random(0), **given))


async def mapped(server: Server, stage: Any, rows: int, **options: Any) -> None:
    """As the runner does with stages that work record by record."""
    llm = opened(server)

    async def one(record: Record) -> list[Record]:
        made: list[Record] = await stage(record, llm=llm, rng=derive(record.id), **options)
        return made

    records = [instruction(f"Say {n}: {text(derive(n))}") for n in range(rows)]
    await drained(ordered_map(one, records, window=llm.window))


@pytest.mark.slow
@pytest.mark.parametrize(
    "work",
    [
        pytest.param(partial(looped, count=SLOTS * ROUNDS, prompts_per_round=SLOTS // 4), id="self_instruct"),
        pytest.param(
            partial(looped, count=2 * SLOTS * ROUNDS, prompts_per_round=2 * SLOTS, style="alpaca"), id="alpaca"
        ),
        pytest.param(partial(mapped, stage=evol_instruct, rows=SLOTS * 3), id="evol_instruct"),
        pytest.param(partial(mapped, stage=self_chat, rows=SLOTS * 5), id="self_chat"),
    ],
)
def test_a_big_server_is_busy_from_the_first_request_to_the_last(work: Any) -> None:
    server = Server()
    in_no_time(work(server))
    assert server.share >= 0.9
