"""Records through a per-record stage whose replies are all in the journal: CPU, time, memory, and how both grow.

``generators.answer`` first asks a scripted LLM, which fills the journal as fast as the runner goes, then runs again in
a fresh process. Outside: a bare loop over the same rows that selects, unpacks and writes the same replies, with no
row, prompt, key, lineage or answer made of them.

Run: python benchmarks/replay.py [--sizes 10000 100000 1000000]
"""

from __future__ import annotations

import argparse
import json
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from machine import cpu_s, peak_mb, warn_if_busy

import datagen
from datagen.llm.scripted import Scripted, scripted
from datagen.record import Message, Record, instruction
from datagen.zstd import zstd

REPLY = "A sentence of a reply. " * 20


def numbered(*, count: int) -> Iterator[Record]:
    """A source of distinct instructions."""
    for number in range(count):
        yield instruction(f"Write one sentence about the number {number}")


def say(messages: Sequence[Message], sampling: Any, sample: int) -> str:
    return f"Reply to {messages[-1].content}. {REPLY}"


def backend() -> Scripted:
    return scripted(function=say)


def answered(root: Path, count: int) -> None:
    rows = {"use": "replay:numbered", "count": count}
    stages = {"rows": rows, "answers": {"use": "generators.answer", "llm": "script"}}
    result = datagen.run(
        {"name": "replay", "llms": {"script": {"use": "replay:backend"}}, "stages": stages}, root=root
    ).results["answers"]
    assert (result.kept, result.calls + result.replayed) == (count, count), result


def bare(root: Path) -> None:
    journal = sqlite3.connect(root / "journal.sqlite")
    unpack = zstd.decompress
    made = next(root.glob("replay/answers-*/replies.jsonl"))
    with made.open() as rows, (root / "bare.jsonl").open("w") as out:
        for row in rows:
            key = bytes.fromhex(json.loads(row)["replies"][0])
            found = journal.execute("SELECT reply FROM replies WHERE key = ?", (key,)).fetchone()
            out.write(json.dumps(json.loads(unpack(found[0]))["text"]) + "\n")


def measured(work: str, root: Path, count: int) -> tuple[float, float, int]:
    """CPU seconds, seconds and peak MB of one part, in a process of its own."""
    command = [sys.executable, __file__, "--work", work, "--root", str(root), "--sizes", str(count)]
    cpu, seconds, peak = json.loads(subprocess.run(command, check=True, stdout=subprocess.PIPE).stdout)
    print(
        f"{work:<8}{count:>10,}  {cpu:7.1f} s CPU  {seconds:7.1f} s  {1e6 * cpu / count:5.0f} us a record  {peak:4} MB",
        flush=True,
    )
    return cpu, seconds, peak


def child(work: str, root: Path, count: int) -> None:
    cpu, started = cpu_s(), time.perf_counter()
    if work == "bare":
        bare(root)
    else:
        answered(root, count)
    print(json.dumps([cpu_s() - cpu, time.perf_counter() - started, peak_mb()]))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--sizes", type=int, nargs="+", default=[10_000, 100_000, 1_000_000])
    parser.add_argument("--work", help=argparse.SUPPRESS)
    parser.add_argument("--root", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.work:
        child(options.work, options.root, options.sizes[0])
        return
    warn_if_busy()
    peaks: dict[str, list[int]] = {"fill": [], "replay": []}
    for count in options.sizes:
        with tempfile.TemporaryDirectory() as folder:
            root = Path(folder)
            peaks["fill"].append(measured("fill", root, count)[2])
            next(root.glob("replay/answers-*/stage.json")).unlink()
            cpu, seconds, peak = measured("replay", root, count)
            peaks["replay"].append(peak)
            outside = measured("bare", root, count)[0]
        print(f"replay / bare select loop, CPU: {cpu / outside:.1f}")
    first, last = options.sizes[0], options.sizes[-1]
    print(f"{last:,} records from the journal: {seconds:.0f} s, {peak} MB (goal at 1,000,000: 120 s, 600 MB)")
    for work, found in peaks.items():
        print(f"{work}: peak at {last:,} / at {first:,} records: {found[-1] / found[0]:.2f} (goal 1.3)")


if __name__ == "__main__":
    main()
