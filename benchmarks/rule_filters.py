"""1,000,000 rows through read, five rule filters and write, beside `datasets` with the same rules: rows/s and memory.

The rows are Alpaca's, numbered so that each is another, 2 % each made too short, repeated, cut off or given a word of
the list. Sides: `datagen filter` (the command, its start included), `datagen.run` with the same five stages and every
stage's rows on disk, and `datasets` with five `filter` calls in one process and in two. Each runs in a process of its
own; all write JSON lines, and must keep the same rows in the same order. CPU seconds are those of all processes
together, and so is the peak of memory: the sum of each one's. `datagen filter` runs at a tenth of the rows as well:
memory is flat if its peak is the same.
Run: .venv/bin/python benchmarks/rule_filters.py DATA [--rows 1000000] [--sides filter,run,datasets_1,datasets_2]
DATA holds alpaca_52k/alpaca_data.json. Each side needs about 1 kB of disk a row and stage, in TMPDIR.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import re
import resource
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path
from typing import Any

from datagen.text.words import words

WORDS = ["image", "images", "graph", "graphs", "picture", "pictures", "file", "files", "map", "maps", "draw", "plot"]
WORDS += ["go to", "video", "audio", "music", "flowchart", "diagram"]
STARTS = ["Write a program", "Given the following picture"]
FILTERS: dict[str, dict[str, Any]] = {
    "length": {"min_words": 3, "max_words": 150},
    "keywords": {"drop": WORDS},
    "repetition": {},
    "form": {},
    "rules": {"preset": "rules.yaml"},
}
RULES = f"rules:\n  - {{rule: keywords, start: {json.dumps(STARTS)}, match_case: true}}\n"
RULES += "  - {rule: form, without: [punctuation_start, non_ascii_start]}\n"


def make(data: Path, path: Path, number: int) -> None:
    rng, alpaca = random.Random(0), json.loads((data / "alpaca_52k/alpaca_data.json").read_text())
    with path.open("w") as file:
        for at in range(number):
            row = dict(alpaca[at % len(alpaca)])
            row["instruction"] += f" ({at})"
            flaw = rng.random()
            if flaw < 0.02:
                row |= {"instruction": f"Sort {at}", "input": ""}
            elif flaw < 0.04:
                row["output"] = f"{row['output'][:60]} and so on and on. " * 12
            elif flaw < 0.06:
                row["output"] = f"{row['output']}\nFor example:"
            elif flaw < 0.08:
                row["instruction"] += f" and add a {rng.choice(WORDS)}"
            file.write(json.dumps(row) + "\n")


def ours_filter(path: Path, root: Path) -> Path:
    command = [sys.executable, "-m", "datagen", "filter", str(path), "-o", str(root / "out.jsonl"), "--quiet"]
    for name, settings in FILTERS.items():
        words = [f"{key}={json.dumps(value)!r}" for key, value in _placed(settings, path).items()]
        command += ["--use", " ".join([name, *words])]
    subprocess.run([*command, "--root", str(root / "runs")], check=True, stdout=subprocess.DEVNULL)
    return root / "out.jsonl"


def ours_run(path: Path, root: Path) -> Path:
    import datagen

    stages: dict[str, Any] = {"data": {"use": "sources.jsonl", "path": str(path)}}
    stages |= {name: {"use": f"filters.{name}", **_placed(given, path)} for name, given in FILTERS.items()}
    outcome = datagen.run({"name": "rules", "stages": stages}, root=root)
    for result in outcome.results.values():
        assert result.shape == "source" or result.read == result.kept + result.dropped
    return outcome.folders["rules"] / "rows.jsonl"


def _placed(settings: dict[str, Any], path: Path) -> dict[str, Any]:
    return {key: str(path.with_name(value)) if key == "preset" else value for key, value in settings.items()}


LISTED = re.compile(r"\b(?:" + "|".join(word.replace(" ", r"\s+") for word in WORDS) + r")\b", re.IGNORECASE)
ONES = re.compile(r"(?:^|\n)1\. [^\n]*(?:\n(?!2\.)[^\n]*)*?\n1\. ")
LIST_LINE = re.compile(r"\s*(?:[-*•+|#>]|\d{1,3}[.):])")


def prompt(row: dict[str, str]) -> str:
    return f"{row['instruction']}\n{row['input']}" if row["input"] else row["instruction"]


def has_length(row: dict[str, str]) -> bool:
    return 3 <= len(prompt(row).split()) <= 150


def has_no_word(row: dict[str, str]) -> bool:
    return LISTED.search(prompt(row)) is None


def share(parts: list[Any]) -> float:
    return 1 - len(set(parts)) / len(parts) if parts else 0.0


def is_not_repeated(row: dict[str, str]) -> bool:
    text = row["output"]
    if ONES.search(text):
        return False
    if len(text) < 60:
        return True
    if share([line.strip() for line in text.splitlines() if len(line.strip().encode()) >= 16]) > 0.5:
        return False
    tokens = text.split() if len(text) < 12 * text.count(" ") else words(text)
    return len(tokens) < 30 or share(list(zip(*(tokens[at:] for at in range(5)), strict=False))) <= 0.4


def is_formed(row: dict[str, str]) -> bool:
    answer = row["output"].strip()
    if not answer or answer.split() == (row["input"].strip() or row["instruction"].strip()).split():
        return False
    if answer.endswith(":") or answer.count("```") % 2:
        return False
    last = answer.rpartition("\n")[2]
    is_prose = len(last.split()) > 10 and "#" not in last and not LIST_LINE.match(last) and "```" not in answer
    return not (is_prose and answer[-1].isalnum() and len(answer.split()) >= 40 and ". " in answer)


def begins_well(row: dict[str, str]) -> bool:
    first = prompt(row).strip()[:1]
    return not prompt(row).lstrip().startswith(tuple(STARTS)) and first.isascii() and first.isalnum()


def theirs(path: Path, root: Path, processes: int) -> Path:
    import datasets

    datasets.disable_progress_bars()
    rows = datasets.load_dataset("json", data_files=str(path), split="train", cache_dir=str(root / "cache"))
    for rule in (has_length, has_no_word, is_not_repeated, is_formed, begins_well):
        rows = rows.filter(rule, num_proc=processes if processes > 1 else None)
    rows.to_json(str(root / "out.jsonl"), num_proc=processes if processes > 1 else None)
    return root / "out.jsonl"


SIDES: dict[str, Any] = {
    "filter": ours_filter,
    "run": ours_run,
    "datasets_1": lambda path, root: theirs(path, root, 1),
    "datasets_2": lambda path, root: theirs(path, root, 2),
}


def digest(path: Path) -> tuple[int, str]:
    """How many rows are kept, and a hash of them all in order."""
    total, kept = hashlib.sha256(), 0
    with path.open("rb") as file:
        for line in file:
            row = json.loads(line)
            if "prompt" in row:
                answers = row.get("answers", [{}])
                row = {**row["labels"], "output": answers[0].get("content", "")}
            total.update(json.dumps([row["instruction"], row["input"], row["output"]]).encode())
            kept += 1
    return kept, total.hexdigest()


class Watch:
    """The peak memory of this process and all that it starts: each one's own peak, summed (MiB)."""

    def __init__(self) -> None:
        self._peaks: dict[int, float] = {}
        self._ended = threading.Event()
        self._thread = threading.Thread(target=self._look, daemon=True)
        self._thread.start()

    def _look(self) -> None:
        while not self._ended.wait(0.5):
            ours = {str(os.getpid())}
            for _ in range(4):  # children of children, as far as there are any here
                ours |= {child for pid in ours for child in self._children(pid)}
            for pid in ours:
                self._note(pid)

    @staticmethod
    def _children(pid: str) -> list[str]:
        try:
            tasks = list(Path(f"/proc/{pid}/task").iterdir())
            return [child for task in tasks for child in (task / "children").read_text().split()]
        except OSError:
            return []

    def _note(self, pid: str) -> None:
        try:
            lines = Path(f"/proc/{pid}/status").read_text().splitlines()
        except OSError:
            return
        if peak := [line for line in lines if line.startswith("VmHWM")]:
            self._peaks[int(pid)] = int(peak[0].split()[1]) / 1024

    def end(self) -> float:
        self._ended.set()
        self._thread.join()
        return sum(self._peaks.values())


def measure(side: str, path: Path, root: Path) -> None:
    root.mkdir()
    watch, started = Watch(), time.perf_counter()
    out = SIDES[side](path, root)
    seconds, peak = time.perf_counter() - started, watch.end()
    used = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    cpu = sum(one.ru_utime + one.ru_stime for one in used)
    kept, rows = digest(out)
    print(json.dumps({"kept": kept, "rows": rows, "s": seconds, "cpu": cpu, "mb": peak}))


def measured(side: str, path: Path, number: int) -> dict[str, Any]:
    with tempfile.TemporaryDirectory(dir=path.parent) as folder:
        command = [sys.executable, __file__, "--measure", side, str(path), f"{folder}/{side}"]
        done = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True)
    found: dict[str, Any] = json.loads(done.stdout)
    wall, cpu, peak = found["s"], found["cpu"], found["mb"]
    print(f"{side:<11} {number:>9,} rows  kept {found['kept']:,}  {number / wall:>9,.0f} rows/s  {wall:.1f} s", end="")
    print(f"  CPU {cpu:.1f} s ({number / cpu:,.0f} rows/s)  peak {peak:.0f} MB", flush=True)
    return found


def main() -> None:
    if sys.argv[1:2] == ["--measure"]:
        measure(sys.argv[2], Path(sys.argv[3]), Path(sys.argv[4]))
        return
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("data", type=Path)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--sides", default=",".join(SIDES))
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        few, all_rows = Path(folder) / "few.jsonl", Path(folder) / "rows.jsonl"
        few.with_name("rules.yaml").write_text(RULES)
        make(options.data, few, options.rows // 10)
        make(options.data, all_rows, options.rows)
        first = measured("filter", few, options.rows // 10)
        found = {side: measured(side, all_rows, options.rows) for side in options.sides.split(",")}
    assert len({(one["kept"], one["rows"]) for one in found.values()}) == 1, "the sides keep different rows"
    if "filter" in found:
        print(f"memory at ten times the rows: {found['filter']['mb'] / first['mb']:.2f} x")
        for side in found.keys() - {"filter", "run"}:
            wall, cpu = (found[side][key] / found["filter"][key] for key in ("s", "cpu"))
            print(f"filter against {side}: {wall:.1f} x the speed, 1/{cpu:.1f} of the CPU")


if __name__ == "__main__":
    main()
