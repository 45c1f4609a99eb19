"""``kill -9`` at random moments of 50,000 calls, then the same command: how many calls are paid for twice?

The server counts. At most what was in flight at each kill may come again; every row must be there once, in order, with
its own answer.

Run: python benchmarks/kill_resume.py [--calls 50000] [--kills 10]
"""

from __future__ import annotations

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import time
import urllib.request
from pathlib import Path

from openai_throughput import served

import datagen
from datagen.record import encode, instruction, read_records

CONCURRENCY = 64
PIPELINE = """
name: killed
llms:
  server: {{use: openai, base_url: "{url}", model: m, concurrency: {concurrency}}}
stages:
  rows: {{use: sources.jsonl, path: rows.jsonl}}
  answers: {{use: generators.answer, llm: server}}
"""


def stats(url: str) -> dict[str, int]:
    with urllib.request.urlopen(url.replace("/v1", "/stats")) as response:
        found: dict[str, int] = json.load(response)
    return found


def start(folder: Path) -> subprocess.Popen[bytes]:
    environment = {**os.environ, "PYTHONPATH": str(Path(datagen.__file__).parent.parent)}
    command = [sys.executable, "-m", "datagen.cli", "run", "p.yaml", "-q"]
    return subprocess.Popen(command, cwd=folder, env=environment, stdout=subprocess.DEVNULL)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=50_000)
    parser.add_argument("--kills", type=int, default=10)
    options = parser.parse_args()
    rng = random.Random(0)
    with tempfile.TemporaryDirectory() as name, served("--latency", "0.02") as url:
        folder = Path(name)
        rows = (encode(instruction(f"Write one sentence about the number {n}")) for n in range(options.calls))
        (folder / "rows.jsonl").write_bytes(b"\n".join(rows))
        (folder / "p.yaml").write_text(PIPELINE.format(url=url, concurrency=CONCURRENCY))
        for moment in sorted(rng.sample(range(options.calls), options.kills)):
            process = start(folder)
            while stats(url)["different"] < moment and process.poll() is None:
                time.sleep(0.01)
            process.kill()
            process.wait()
        assert start(folder).wait() == 0
        made = read_records(next(folder.glob("runs/killed/answers-*/rows.jsonl")))
        right = sum(row.answer.startswith(f"Reply to {number}.") for number, row in enumerate(made))
        counted = stats(url)
    again = counted["requests"] - counted["different"]
    print(
        f"{options.calls:,} calls, {options.kills} kills: {right:,} rows right and in order; {again} calls came twice"
    )
    print(f"{again / options.kills:.0f} a kill, with {CONCURRENCY} in flight and as many on their way to the disk")


if __name__ == "__main__":
    main()
