"""100,000 records through three rule filters: rows/s and peak memory, beside `datasets` doing the same three.

"one pass" has both length rules in one stage (`filters.rules`), so that rows are written once less. Each side runs in
its own process, so that the peak is its own. All read the same JSONL and write what is kept.
Run: .venv/bin/python benchmarks/rule_filters.py
"""

from __future__ import annotations

import json
import random
import resource
import subprocess
import sys
import tempfile
import time
from pathlib import Path

N = 100_000


def make(path: Path, _: Path) -> None:
    """Alpaca-like rows: 10 % exact duplicates, 10 % too short."""
    rng = random.Random(0)
    words = [f"word{i}" for i in range(5000)]
    rows: list[dict[str, str]] = []
    for number in range(N):
        if rows and rng.random() < 0.1:
            rows.append(rng.choice(rows))
            continue
        length = 2 if rng.random() < 0.1 else rng.randint(5, 40)
        text = " ".join(rng.choices(words, k=length)) + f" {number}"
        rows.append({"instruction": text, "input": "", "output": " ".join(rng.choices(words, k=60))})
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))


def ours(data: Path, root: Path) -> int:
    import datagen

    stages = {
        "data": {"use": "sources.jsonl", "path": str(data)},
        "length": {"use": "filters.length", "min_words": 4},
        "answers": {"use": "filters.length", "of": "answer", "max_words": 200},
        "unique": {"use": "filters.dedup_exact"},
    }
    return datagen.run({"name": "rules", "stages": stages}, root=root).results["unique"].kept


def one_pass(data: Path, root: Path) -> int:
    import datagen

    lengths = [{"rule": "length", "min_words": 4}, {"rule": "length", "of": "answer", "max_words": 200}]
    stages = {
        "data": {"use": "sources.jsonl", "path": str(data)},
        "rules": {"use": "filters.rules", "also": lengths},
        "unique": {"use": "filters.dedup_exact"},
    }
    return datagen.run({"name": "rules", "stages": stages}, root=root).results["unique"].kept


def theirs(data: Path, root: Path) -> int:
    import datasets

    datasets.disable_progress_bars()
    rows = datasets.load_dataset("json", data_files=str(data), split="train", cache_dir=str(root / "cache"))
    seen: set[str] = set()

    def first(row: dict[str, str]) -> bool:
        text = " ".join(row["instruction"].casefold().split())
        if text in seen:
            return False
        seen.add(text)
        return True

    rows = rows.filter(lambda row: len(row["instruction"].split()) >= 4)
    rows = rows.filter(lambda row: len(row["output"].split()) <= 200)
    rows = rows.filter(first)
    rows.to_json(str(root / "out.jsonl"))
    return len(rows)


def main() -> None:
    if len(sys.argv) > 1:
        started = time.perf_counter()
        kept = globals()[sys.argv[1]](Path(sys.argv[2]), Path(sys.argv[3]))
        seconds = time.perf_counter() - started
        print(json.dumps({"kept": kept, "s": seconds, "mb": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024}))
        return
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder) / "rows.jsonl"
        # In a process of its own: a child's peak begins at its parent's.
        subprocess.run([sys.executable, __file__, "make", str(data), folder], check=True, capture_output=True)
        measured = {}
        for side in ("ours", "one_pass", "theirs"):
            command = [sys.executable, __file__, side, str(data), f"{folder}/{side}"]
            measured[side] = json.loads(subprocess.run(command, check=True, capture_output=True, text=True).stdout)
    for side, m in measured.items():
        name = {"ours": "datagen", "one_pass": "one pass", "theirs": "datasets"}[side]
        print(f"{name:<9} kept {m['kept']:,}  {N / m['s']:,.0f} rows/s  peak {m['mb']:.0f} MB")
    ours, theirs = measured["ours"], measured["theirs"]
    assert len({m["kept"] for m in measured.values()}) == 1, "the sides keep different rows"
    print(f"speed ratio {theirs['s'] / ours['s']:.2f}  memory ratio {ours['mb'] / theirs['mb']:.2f}")


if __name__ == "__main__":
    main()
