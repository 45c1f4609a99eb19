"""The same job in other toolkits, beside ours, against the same server: seconds, rows that came, and ratios.

Three jobs at concurrency 50 and 0.2 s a reply: all alike; one reply in fifty ten times slower; 10 % 429 with
Retry-After 1 and 10 % 500. A peer is a script that takes a number of prompts, an empty folder and a concurrency, finds
the server in ``$BASE``, and prints ``RESULT ... rows=N ... wall=SECONDSs``, in a Python of its own. One that is not
done within ``--limit`` seconds is stopped. Ours counts everything: sources, HTTP, journal, rows on disk.

Run: python benchmarks/peers.py --peer distilabel='PYTHON SCRIPT' [--peer ...] [--prompts 8000] [--limit 240]
"""

from __future__ import annotations

import argparse
import os
import re
import resource
import shlex
import signal
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import NamedTuple

from openai_throughput import ideal
from serving import serving

import datagen
from datagen.record import encode, instruction

CONCURRENCY, LATENCY_S = 50, 0.2
_RESULT = re.compile(r"^RESULT .*?rows=(\d+)(?: none=(\d+))?.*?wall=([\d.]+)s", re.MULTILINE)


class Took(NamedTuple):
    rows: int
    seconds: float
    cpu_s: float
    """Of all its processes; a peer's with the import of its packages, which ``seconds`` leaves out."""


def ours(url: str, count: int, folder: Path) -> Took:
    """A pipeline of ours."""
    rows = (encode(instruction(f"prompt number {n}")) for n in range(count))
    (folder / "rows.jsonl").write_bytes(b"\n".join(rows))
    pipeline = {
        "name": "peers",
        "llms": {"server": {"use": "openai", "base_url": url, "model": "mock", "concurrency": CONCURRENCY}},
        "stages": {
            "rows": {"use": "sources.jsonl", "path": str(folder / "rows.jsonl")},
            "answers": {"use": "generators.answer", "llm": "server"},
        },
    }
    started, cpu = time.perf_counter(), time.process_time()
    result = datagen.run(pipeline, root=folder).results["answers"]
    return Took(result.kept, time.perf_counter() - started, time.process_time() - cpu)


def peer(command: list[str], url: str, count: int, folder: Path, limit_s: float) -> Took | None:
    """A peer's script; None where it ended without a result, or not in time."""
    words = [*command, str(count), str(folder / "out"), str(CONCURRENCY)]
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    environment |= {"BASE": url, "HF_HUB_OFFLINE": "1", "HOME": str(folder), "HF_HOME": str(folder / "hf")}
    log, before = folder / "log", children_s()
    with log.open("w") as file:
        process = subprocess.Popen(
            words, cwd=folder, env=environment, stdout=file, stderr=subprocess.STDOUT, start_new_session=True
        )
        try:
            process.wait(timeout=limit_s)
        except subprocess.TimeoutExpired:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
    found = _RESULT.search(log.read_text(errors="replace"))
    if found is None:
        print("   ", *log.read_text(errors="replace").splitlines()[-2:], sep="\n    ", file=sys.stderr)
        return None
    return Took(int(found[1]) - int(found[2] or 0), float(found[3]), children_s() - before)


def children_s() -> float:
    """CPU seconds of the processes that this one has waited for."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--peer", action="append", default=[], metavar="NAME='PYTHON SCRIPT'")
    parser.add_argument("--prompts", type=int, default=8000)
    parser.add_argument("--jobs", default="alike,tail,errors")
    parser.add_argument("--limit", type=float, default=240.0, help="seconds for one job of a peer")
    options = parser.parse_args()
    n = options.prompts
    tail = [10 * LATENCY_S if number % 50 == 25 else LATENCY_S for number in range(n // 4)]
    jobs = {
        "alike": (n, (), ideal([LATENCY_S] * n, CONCURRENCY)),
        "tail": (n // 4, ("--slow-every", "50"), ideal(tail, CONCURRENCY)),
        "errors": (n // 8, ("--p429", "0.1", "--p500", "0.1"), n // 8 / 0.8 * LATENCY_S / CONCURRENCY),
    }
    peers = {name: shlex.split(words) for name, _, words in (one.partition("=") for one in options.peer)}
    for job in options.jobs.split(","):
        count, words, best = jobs[job]
        base = 0.0
        for name in ("datagen", *peers):
            with tempfile.TemporaryDirectory() as folder, serving("", *words, latency_s=LATENCY_S) as url:
                at = Path(folder)
                took = peer(peers[name], url, count, at, options.limit) if name in peers else ours(url, count, at)
            head = f"{job:<7} {count:>6,} prompts  {name:<12}"
            if took is None:
                print(f"{head} not done within {options.limit:.0f} s", flush=True)
                continue
            base = base or took.seconds
            shares = f"{best / took.seconds:.3f} of ideal  {took.seconds / base:5.1f}x ours"
            print(f"{head} {took.rows:>6,} rows {took.seconds:7.1f} s  {shares}  CPU {took.cpu_s:5.1f} s", flush=True)


if __name__ == "__main__":
    main()
