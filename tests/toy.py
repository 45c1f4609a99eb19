"""Toy stages of all shapes, and a deterministic back end that logs every request: named in pipelines as ``toy:...``."""

from __future__ import annotations

import asyncio
import hashlib
import os
import random
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import msgspec

from datagen.aio import ordered_map
from datagen.errors import LLMError
from datagen.llm.base import Reply, Sampling, Usage
from datagen.llm.client import LLM
from datagen.record import Answer, Message, Record, instruction
from datagen.stage import ModelName, Rows


def numbers(*, n: int = 10, limit: int | None = None) -> Iterator[Record]:
    """Count from 0 to ``n``."""
    for number in range(n if limit is None else min(n, limit)):
        yield instruction(f"Say {number}", source="toy")


async def answer(record: Record, *, llm: LLM, rng: random.Random, samples: int = 1) -> list[Record]:
    """Ask for answers, and label the record by chance."""
    replies = await asyncio.gather(*(llm.chat(record.prompt, sample=k) for k in range(samples)))
    answers = [Answer(reply.text, llm.model) for reply in replies]
    return [record.with_answers(answers).labelled(chance=rng.random())]


def every(records: Iterable[Record], *, k: int = 3, offset: int = 0) -> Iterator[Record]:
    """Drop every k-th record."""
    for at, record in enumerate(records):
        yield record.drop("every:kth", at=at) if at % k == offset else record


async def grade(records: Iterable[Record], *, llm: LLM, at_least: float = 1.0) -> AsyncIterator[Record]:
    """Score each answer by its reply's length, in a loop stage."""

    async def graded(record: Record) -> Record:
        try:
            reply = await llm.chat([*record.prompt, Message("assistant", record.answer), Message("user", "grade")])
        except LLMError as error:
            return record.drop(f"grade:{error.reason}", error=str(error))
        score = float(len(reply.text) % 5)
        best = record.answers[0].scored("toy", score)
        scored = msgspec.structs.replace(record, answers=(best,))
        return scored if score >= at_least else scored.drop("grade:low_score", score=score)

    async for record in ordered_map(graded, records, window=llm.window):
        yield record


def blend(sources: Mapping[str, Rows], *, shares: dict[str, float] | None = None) -> Iterator[Record]:
    """All rows of all sources, labelled with their source and its share."""
    for name, rows in sources.items():
        for record in rows:
            yield record.labelled(mixture=name, share=(shares or {}).get(name))


def halves(records: Iterable[Record]) -> Iterator[Record]:
    """Label rows as two parts."""
    for at, record in enumerate(records):
        yield record.labelled(split="even" if at % 2 == 0 else "odd")


def train(data: Rows, out: Path, *, base: ModelName, rng: random.Random) -> dict[str, Any]:
    """A model that is the number of rows it was trained on."""
    (out / "model").mkdir(exist_ok=True)
    (out / "model" / "config.json").write_text(f"[{len(data)}, {rng.random()}]")
    return {"rows": len(data), "base": str(base)}


async def measure(data: Rows, out: Path, *, llm: LLM, against: Rows | None = None) -> dict[str, Any]:
    """How many replies hold an 'a'."""
    replies = [await llm.chat(record.prompt) for record in data]
    return {"accuracy": sum("a" in reply.text for reply in replies) / len(data), "of": len(list(against or ()))}


def broken(records: Iterable[Record], *, at: int = 2) -> Iterator[Record]:
    """A stage with a bug."""
    for number, record in enumerate(records):
        yield record
        if number == at:
            raise ZeroDivisionError("a bug")


async def broken_record(record: Record, *, llm: LLM) -> list[Record]:
    """A per-record stage with a bug that shows after its calls."""
    await llm.chat(record.prompt)
    if record.instruction == "Say 3":
        raise ZeroDivisionError("a bug")
    return [record]


def not_a_stage(first: int, second: int) -> None:
    """No stage's signature."""


class Backend:
    """Replies are a hash of the request, after a while; every request that begins is one line of the log."""

    def __init__(self, log: str, *, latency_s: float, concurrency: int, fail: str) -> None:
        self.model = "toy"
        self.concurrency = concurrency
        self.peak = 0
        self._busy = 0
        self._fail = fail
        self._latency_s = latency_s
        self._log = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND) if log else None
        self._slots = asyncio.Semaphore(concurrency)

    @property
    def identity(self) -> dict[str, Any]:
        return {"backend": "toy"}

    async def chat(self, messages: Sequence[Message], sampling: Sampling, sample: int = 0) -> Reply:
        asked = f"{[m.content for m in messages]} {sampling.seed} {sample}"
        digest = hashlib.sha256(asked.encode()).hexdigest()
        async with self._slots:
            self._busy += 1
            self.peak = max(self.peak, self._busy)
            if self._log is not None:
                os.write(self._log, f"{digest[:8]} {self._busy}\n".encode())
            await asyncio.sleep(self._latency_s * int(digest[:2], 16) / 128)
            self._busy -= 1
        if self._fail and self._fail in messages[-1].content:
            raise LLMError("refused", "the server would not", attempts=3)
        return Reply(digest[: 3 + int(digest[2:4], 16) % 9], usage=Usage(len(messages), 1))

    async def close(self) -> None:
        if self._log is not None:
            os.close(self._log)
            self._log = None


def backend(*, log: str = "", latency_s: float = 0.0, concurrency: int = 4, fail: str = "") -> Backend:
    return Backend(log, latency_s=latency_s, concurrency=concurrency, fail=fail)


def pipeline(*, log: str, n: int = 20, latency_s: float = 0.0, seed: int = 0, name: str = "toy") -> dict[str, Any]:
    """Source, per-record LLM stage, filter, loop LLM stage."""
    return {
        "name": name,
        "seed": seed,
        "llms": {"teacher": {"use": "toy:backend", "log": log, "latency_s": latency_s}},
        "stages": {
            "seeds": {"use": "toy:numbers", "n": n},
            "answers": {"use": "toy:answer", "llm": "teacher"},
            "fewer": {"use": "toy:every", "k": 4},
            "graded": {"use": "toy:grade", "llm": "teacher"},
        },
    }
