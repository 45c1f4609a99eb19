"""How busy do generators keep a server that takes 256 requests at once?

Busy is the mean number of requests in flight, as the server counts them from its first request to its last reply, over
256. The server (``latency_server.py --teacher``) replies as a teacher would, after a latency drawn between half of
``--latency`` and half more; the settings are those for a big server. Two processes share the machine with the server:
where ``cpu`` is near a core's, raise ``--latency`` until it is the generator that is measured.

Run: python benchmarks/busy_share.py [--latency 1.0] [--rounds 12] [--only self_instruct]
"""

from __future__ import annotations

import argparse
import json
import resource
import tempfile
import time
from pathlib import Path
from typing import Any

from serving import serving, stats

import datagen

CONCURRENCY = 256
SEEDS = Path(__file__).parent.parent / "seeds" / "tasks.jsonl"


def generators(rounds: int) -> dict[str, tuple[int, dict[str, Any]]]:
    """For each generator the seeds that it reads (0: all) and its settings; ``rounds`` times the server's slots."""
    rows = CONCURRENCY * rounds
    tasks = {"use": "generators.self_instruct", "llm": "teacher", "count": rows}
    return {
        "self_instruct": (0, {**tasks, "prompts_per_round": CONCURRENCY // 4}),
        "alpaca": (0, {**tasks, "count": 17 * rows, "style": "alpaca", "prompts_per_round": 2 * CONCURRENCY}),
        "evol_instruct": (rows // 4, {"use": "generators.evol_instruct", "llm": "teacher"}),
        "self_chat": (rows // 2, {"use": "generators.self_chat", "llm": "teacher"}),
        "self_chat one_call": (rows, {"use": "generators.self_chat", "llm": "teacher", "style": "one_call"}),
    }


def seeds(folder: Path, count: int) -> Path:
    """The seed tasks, or as many numbered questions."""
    if not count:
        return SEEDS
    path = folder / "seeds.jsonl"
    rows = ({"prompt": f"Write one sentence about the number {number}."} for number in range(count))
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def measured(settings: dict[str, Any], count: int, latency_s: float) -> str:
    """One line: share, requests, seconds, and the CPU of this process."""
    with tempfile.TemporaryDirectory() as name, serving("", "--teacher", latency_s=latency_s) as url:
        teacher = {"use": "openai", "base_url": url, "model": "m", "concurrency": CONCURRENCY}
        source = {"use": "sources.jsonl", "path": str(seeds(Path(name), count))}
        pipeline = {"name": "busy", "llms": {"teacher": teacher}, "stages": {"seeds": source, "rows": settings}}
        started, cpu = time.perf_counter(), time.process_time()
        result = datagen.run(pipeline, root=Path(name) / "runs").results["rows"]
        seconds, cpu, found = time.perf_counter() - started, time.process_time() - cpu, stats(url)
    servers = resource.getrusage(resource.RUSAGE_CHILDREN)
    return (
        f"{found['in_flight'] / CONCURRENCY:5.3f} busy  {found['requests']:7,} requests  {result.kept:6,} rows"
        f"  {seconds:6.1f} s  cpu {cpu / seconds:4.2f} (servers so far {servers.ru_utime + servers.ru_stime:.0f} s)"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--latency", type=float, default=1.0)
    parser.add_argument("--rounds", type=int, default=12, help="how long: requests per slot, more or less")
    parser.add_argument("--only", default="")
    options = parser.parse_args()
    for name, (count, settings) in generators(options.rounds).items():
        if options.only in ("", name):
            print(f"{name:20}", measured(settings, count, options.latency), flush=True)


if __name__ == "__main__":
    main()
