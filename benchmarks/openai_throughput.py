"""How close a whole stage comes to what its server allows: prompts, HTTP, journal and rows on disk included.

Four jobs through ``generators.answer`` against ``latency_server.py`` in a process of its own: constant latency, one
reply in fifty ten times slower, one reply in five an error (three runs: the waits are a matter of luck), and the CPU of
a call. The ideal is the schedule of a client that costs nothing: every slot is busy until no request is left, and a
refused request costs what an answered one does. Outside: aiohttp and orjson alone, the same requests to the same server
in turn with ours. ``--base-url`` measures the CPU of a call against another server (constant latency).

Run: python benchmarks/openai_throughput.py [--fraction 0.1] [--base-url http://127.0.0.1:8900/v1]
"""

from __future__ import annotations

import argparse
import asyncio
import heapq
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import aiohttp
import orjson
from machine import cpu_s, warn_if_busy

import datagen
from datagen.record import Record, instruction

SERVER = Path(__file__).with_name("latency_server.py")


def numbered(*, count: int) -> Iterator[Record]:
    """A source of distinct instructions."""
    for number in range(count):
        yield instruction(f"Write one sentence about the number {number}")


@contextmanager
def served(*options: str) -> Iterator[str]:
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    process = subprocess.Popen([sys.executable, str(SERVER), str(port), *options], stdout=subprocess.PIPE)
    assert process.stdout is not None
    process.stdout.readline()
    try:
        yield f"http://127.0.0.1:{port}/v1"
    finally:
        process.terminate()
        process.wait()
        process.stdout.close()


def measured(url: str, count: int, concurrency: int) -> tuple[float, float]:
    """Seconds of the answering stage, and CPU seconds of this process."""
    with tempfile.TemporaryDirectory() as root:
        pipeline = {
            "name": "throughput",
            "llms": {"server": {"use": "openai", "base_url": url, "model": "m", "concurrency": concurrency}},
            "stages": {
                "rows": {"use": f"{__name__}:numbered", "count": count},
                "answers": {"use": "generators.answer", "llm": "server"},
            },
        }
        datagen.run(pipeline, root=root, until="rows")
        cpu = cpu_s()
        result = datagen.run(pipeline, root=root).results["answers"]
        assert (result.kept, result.calls) == (count, count), result
        return result.seconds, cpu_s() - cpu


def ideal(latencies: list[float], concurrency: int) -> float:
    """Seconds until all are done where each starts as soon as a slot is free."""
    slots = [0.0] * concurrency
    for latency in latencies:
        heapq.heappush(slots, heapq.heappop(slots) + latency)
    return max(slots)


async def bare(url: str, count: int, concurrency: int) -> None:
    """The same requests by aiohttp and orjson alone; nothing is kept."""
    numbers = iter(range(count))
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, headers={"Content-Type": "application/json"}) as session:

        async def one_slot() -> None:
            for number in numbers:
                message = {"role": "user", "content": f"Write one sentence about the number {number}"}
                body = {"model": "m", "messages": [message], "temperature": 0.7, "max_tokens": 1024, "seed": number}
                async with session.post(f"{url}/chat/completions", data=orjson.dumps(body)) as response:
                    assert orjson.loads(await response.read())["choices"][0]["message"]["content"]

        await asyncio.gather(*[one_slot() for _ in range(concurrency)])


def call_cpu(url: str, count: int, concurrency: int) -> None:
    """Ours and the bare client in turn, twice."""
    ours, theirs = [], []
    for _ in range(2):
        seconds, cpu = measured(url, count, concurrency)
        ours.append(1e6 * cpu / count)
        start = cpu_s()
        asyncio.run(bare(url, count, concurrency))
        theirs.append(1e6 * (cpu_s() - start) / count)
        print(f"{count:,} prompts, concurrency {concurrency}: {count / seconds:,.0f} replies/s", flush=True)
        print(f"    {ours[-1]:.0f} us CPU a call (goal 350), aiohttp + orjson alone {theirs[-1]:.0f} us", flush=True)
    print(f"    ratio {sum(ours) / sum(theirs):.2f}")


def bare_seconds(url: str, count: int, concurrency: int) -> float:
    start = time.monotonic()
    asyncio.run(bare(url, count, concurrency))
    return time.monotonic() - start


def report(name: str, seconds: float, best: float, note: str) -> None:
    print(f"{name:<42} {seconds:6.1f} s  ideal {best:5.1f} s  {best / seconds:.3f} of ideal ({note})", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--fraction", type=float, default=1.0, help="of the prompts of each job")
    parser.add_argument("--base-url", default="", help="measure only the CPU of a call, against this server")
    options = parser.parse_args()
    warn_if_busy()
    if not options.base_url:
        count = int(8000 * options.fraction)
        with served("--latency", "0.2") as url:
            best = ideal([0.2] * count, 50)
            report(f"{count:,} prompts, 0.2 s, concurrency 50", measured(url, count, 50)[0], best, "goal 0.97")
            report("    aiohttp + orjson alone, nothing kept", bare_seconds(url, count, 50), best, "on this machine")
        count = int(2000 * options.fraction)
        with served("--latency", "0.2", "--slow-every", "50") as url:
            best = ideal([2.0 if number % 50 == 25 else 0.2 for number in range(count)], 50)
            report(f"{count:,} prompts, 2 % ten times slower", measured(url, count, 50)[0], best, "goal 0.97")
            report("    aiohttp + orjson alone, nothing kept", bare_seconds(url, count, 50), best, "on this machine")
        count = int(1000 * options.fraction)
        with served("--latency", "0.2", "--p429", "0.1", "--p500", "0.1") as url:
            best = count / 0.8 * 0.2 / 50
            for _ in range(3):
                seconds = measured(url, count, 50)[0]
                report(f"{count:,} prompts, 10 % 429 (1 s), 10 % 500", seconds, best, "goal 1/1.4 = 0.714")
    with served("--latency", "0.05") as url:
        call_cpu(options.base_url or url, int(20_000 * options.fraction), 256)


if __name__ == "__main__":
    sys.modules.setdefault("openai_throughput", sys.modules["__main__"])
    __name__ = "openai_throughput"
    main()
