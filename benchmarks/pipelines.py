"""Run every shipped pipeline on the tiny models, for real, and tabulate what came of it.

    scripts/pipelines                        all of them, about three minutes each on two cores
    scripts/pipelines alpaca zephyr          these
    scripts/pipelines --steps 20 alpaca      no training longer than 20 steps, and data to match: does it run at all?

Each has a folder and a journal of its own under ``--root``, so that the seconds are those of a first run. Writes the
table to ``<root>/table.md`` as well; exits with 1 where a pipeline fails.
"""

from __future__ import annotations

import argparse
import resource
import subprocess
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datagen import assets, config
from datagen.document import read
from datagen.report.show import read_run
from datagen.runner import Outcome

_ROWS_A_STEP = 5
_HEADER = "| pipeline | rows kept (of those made or read) | before → after | seconds | CPU |\n|---|---|---|---|---|"


@dataclass(frozen=True)
class Ran:
    """One pipeline: what it left, how it ended, how long it took."""

    name: str
    outcome: Outcome
    code: int
    seconds: float
    cpu_seconds: float


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("names", nargs="*", help="shipped pipelines (default: all)")
    parser.add_argument("--root", type=Path, default=Path("runs/pipelines"))
    parser.add_argument("--steps", type=int, default=None, help="cut every training to so many steps, and its data")
    options = parser.parse_args()
    names = options.names or sorted(path.stem for path in assets.folder("pipelines").glob("*.yaml"))
    lines, failed = [_HEADER], []
    for name in names:
        ran = run(name, options.root / name, options.steps)
        lines.append(row(ran))
        failed += [name] if ran.code else []
        (options.root / "table.md").write_text("\n".join(lines) + "\n", encoding="utf-8")
    print("\n".join(lines))
    return 1 if failed else 0


def run(name: str, root: Path, steps: int | None) -> Ran:
    """Run one pipeline in a process of its own; a file without ``tiny:`` is on the tiny models as it stands."""
    tiny = "tiny" in read(assets.folder("pipelines") / f"{name}.yaml")
    pipeline = config.load(name, tiny=tiny)
    overrides = [f"{key}={value}" for key, value in cut(pipeline.resolved["stages"], steps)]
    root.mkdir(parents=True, exist_ok=True)
    started, cpu = time.monotonic(), _cpu_seconds()
    command = ["run", name, *(["--tiny"] if tiny else []), *overrides, "--root", str(root), "--json-log"]
    with (root / "log.txt").open("w") as log:
        code = subprocess.run([sys.executable, "-m", "datagen", *command], stdout=log, stderr=log).returncode
    outcome, _ = read_run(root, pipeline.name)
    return Ran(name, outcome, code, time.monotonic() - started, _cpu_seconds() - cpu)


def cut(stages: dict[str, Any], steps: int | None) -> Iterator[tuple[str, int]]:
    """Settings that make every training ``steps`` long, and the data as much as those need."""
    for stage, given in stages.items() if steps else ():
        if given["use"].startswith("training."):
            yield f"stages.{stage}.args.max_steps", steps
        elif "count" in given:
            yield f"stages.{stage}.count", min(given["count"], _ROWS_A_STEP * steps)
        elif "limit" in given:
            yield f"stages.{stage}.limit", min(given["limit"], _ROWS_A_STEP * steps)


def row(ran: Ran) -> str:
    """One line of the table."""
    results = ran.outcome.results.values()
    rows = [
        f"{one.name} {one.kept:,}" + (f" of {one.kept + one.dropped:,}" if one.dropped else "")
        for one in results
        if one.shape not in ("job", "source")
    ]
    metrics = [f"{one.name}: {text}" for one in results if (text := measured(one.use, one.metrics))]
    failed = f"**failed** (exit code {ran.code}) " if ran.code else ""
    cells = [ran.name, ", ".join(rows), failed + "; ".join(metrics), f"{ran.seconds:.0f}", f"{ran.cpu_seconds:.0f}"]
    return f"| {' | '.join(cells)} |"


def measured(use: str, metrics: dict[str, Any]) -> str:
    """What a stage measured, in a few words; empty for one that measures nothing."""
    if use == "evaluation.exact_match":
        before, after = metrics["baseline"], metrics["model"]
        return f"{before['exact_match']:.3f} → {after['exact_match']:.3f} (±{metrics['gain']['stderr']:.3f})"
    if use == "evaluation.data_accuracy":
        return ", ".join(f"{name} {found['accuracy']:.3f}" for name, found in metrics.items() if "accuracy" in found)
    if use == "evaluation.win_rate" and metrics["win_rate"] is not None:
        return f"wins {metrics['win_rate']:.3f}"
    if use == "training.reward" and metrics.get("accuracy") is not None:
        return f"{metrics['accuracy']:.3f} of held-out pairs"
    return ""


def _cpu_seconds() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    sys.exit(main())
