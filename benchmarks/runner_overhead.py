"""What the runner costs per call: 20,000 records through a per-record stage, journal on, replies at once.

Outside: the bare loop a user would write (asyncio.gather over the same back end, results to JSONL, no journal, no
resume), and the openai client's own cost per request as measured elsewhere is in benchmarks/RESULTS.md.
Run: .venv/bin/python benchmarks/runner_overhead.py
"""

from __future__ import annotations

import asyncio
import json
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

from machine import cpu_s, warn_if_busy

import datagen
from datagen.llm.base import Sampling
from datagen.llm.scripted import scripted
from datagen.record import Message, Record, instruction

N = 20_000


def numbered(*, count: int) -> Iterator[Record]:
    """A source of distinct instructions."""
    for number in range(count):
        yield instruction(f"Write one sentence about the number {number}.")


async def _bare(path: Path) -> None:
    backend = scripted(function=lambda messages, sampling, sample: "A sentence. " * 10)
    slots = asyncio.Semaphore(64)

    async def one(number: int) -> str:
        message = Message("user", f"Write one sentence about the number {number}.")
        async with slots:
            return (await backend.chat([message], Sampling())).text

    replies = await asyncio.gather(*(one(number) for number in range(N)))
    path.write_text("".join(json.dumps({"reply": reply}) + "\n" for reply in replies))


def main() -> None:
    warn_if_busy()
    with tempfile.TemporaryDirectory() as folder:
        root = Path(folder)
        rules = root / "rules.jsonl"
        rules.write_text(json.dumps({"match": "number", "reply": "A sentence. " * 10}) + "\n")
        pipeline = {
            "name": "overhead",
            "llms": {"scripted": {"use": "scripted", "path": str(rules)}},
            "stages": {
                "rows": {"use": f"{__name__}:numbered", "count": N},
                "answers": {"use": "generators.answer", "llm": "scripted"},
            },
        }
        start = cpu_s(), time.perf_counter()
        result = datagen.run(pipeline, root=root / "runs").results["answers"]
        cpu, wall = cpu_s() - start[0], time.perf_counter() - start[1]
        start = cpu_s(), time.perf_counter()
        asyncio.run(_bare(root / "bare.jsonl"))
        bare_cpu, bare_wall = cpu_s() - start[0], time.perf_counter() - start[1]
    assert result.kept == N
    print(f"datagen    {N / wall:8,.0f} replies/s  {1e6 * cpu / N:6.0f} us CPU/call  (journal, lineage, resume)")
    print(
        f"bare loop  {N / bare_wall:8,.0f} replies/s  {1e6 * bare_cpu / N:6.0f} us CPU/call  (nothing kept on a crash)"
    )
    print(f"ratio CPU  {cpu / bare_cpu:.2f}")


if __name__ == "__main__":
    import sys

    sys.modules.setdefault("runner_overhead", sys.modules["__main__"])
    __name__ = "runner_overhead"
    main()
