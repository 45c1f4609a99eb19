"""``kill -9`` at random moments of 50,000 calls, then the same command: how many calls are paid for twice?

The server counts its requests, the journal its replies. At a kill, what the server has seen and the journal does not
hold was in flight; that much may come again in the next run, and nothing else. The rows must be those of a run that
nobody disturbed, byte for byte.

Run: python benchmarks/kill_resume.py [--calls 50000] [--kills 10] [--server PROGRAM]
"""

from __future__ import annotations

import argparse
import os
import random
import subprocess
import sys
import tempfile
import time
from pathlib import Path

from serving import requests, serving

import datagen
from datagen.llm.journal import Journal
from datagen.record import encode, instruction

PIPELINE = """
name: killed
llms:
  server: {{use: openai, base_url: "{url}", model: m, concurrency: {concurrency}}}
stages:
  rows: {{use: sources.jsonl, path: rows.jsonl}}
  answers: {{use: generators.answer, llm: server}}
"""


def prepare(folder: Path, url: str, calls: int, concurrency: int) -> None:
    folder.mkdir()
    rows = (encode(instruction(f"Write one sentence about the number {n}")) for n in range(calls))
    (folder / "rows.jsonl").write_bytes(b"\n".join(rows))
    (folder / "p.yaml").write_text(PIPELINE.format(url=url, concurrency=concurrency))


def start(folder: Path) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "PYTHONPATH": str(Path(datagen.__file__).parent.parent)}
    command = [sys.executable, "-m", "datagen.cli", "run", "p.yaml", "-q"]
    return subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.DEVNULL)


def stored(folder: Path) -> int:
    """Replies in the journal."""
    path = folder / "runs" / "journal.sqlite"
    if not path.exists():
        return 0
    journal = Journal(path)
    count = len(journal)
    journal.close()
    return count


def made(folder: Path) -> bytes:
    return next(folder.glob("runs/killed/answers-*/rows.jsonl")).read_bytes()


def kill(folder: Path, url: str, moment: int) -> None:
    """Run until the server has had so many different requests, and not a moment longer."""
    process = start(folder)
    while requests(url)[1] < moment and process.poll() is None:
        time.sleep(0.01)
    process.kill()
    process.wait()


def killed(folder: Path, url: str, moments: list[int]) -> tuple[int, int]:
    """Requests in flight at the kills, and finished ones that came again."""
    (came, different), in_flight, lost, again = requests(url), 0, 0, 0
    for moment in [*moments, None]:
        if moment is not None:
            kill(folder, url, moment)
        else:
            assert start(folder).wait() == 0
        before = came - different
        came, different = requests(url)
        again += max(0, came - different - before - lost)
        lost = different - stored(folder)
        in_flight += lost
    return in_flight, again


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=50_000)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--concurrency", type=int, default=64)
    parser.add_argument("--server", default="", help="a program that takes --port and --delay-ms (default: ours)")
    options = parser.parse_args()
    moments = sorted(random.Random(0).sample(range(options.calls), options.kills))
    with tempfile.TemporaryDirectory() as name:
        undisturbed, disturbed = Path(name) / "undisturbed", Path(name) / "disturbed"
        with serving(options.server, latency_s=0.02) as url:
            prepare(undisturbed, url, options.calls, options.concurrency)
            assert start(undisturbed).wait() == 0
        with serving(options.server, latency_s=0.02) as url:
            prepare(disturbed, url, options.calls, options.concurrency)
            in_flight, again = killed(disturbed, url, moments)
            came, different = requests(url)
        same = made(undisturbed) == made(disturbed)
    print(f"{options.calls:,} calls, {options.kills} kills, concurrency {options.concurrency}: rows identical: {same}")
    print(f"{came - different} calls came twice, {in_flight} were in flight; finished calls that came again: {again}")


if __name__ == "__main__":
    main()
