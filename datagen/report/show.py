"""What people see of a run in the terminal: the funnel, some rows, the scores, where everything lies."""

from __future__ import annotations

import json
import sys
import textwrap
from collections.abc import Iterable, Iterator
from itertools import islice
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from datagen.errors import ConfigError
from datagen.pipeline import Pipeline
from datagen.record import Record, read_records
from datagen.report.diversity import table
from datagen.runner import Outcome
from datagen.store import DROPPED, MARKER, ROWS, Result, Store, read_result

_CUT = 160
_PIPED_WIDTH = 120


def print_outcome(outcome: Outcome, rows: int = 5, stage: str | None = None) -> None:
    """The whole report of a finished run."""
    console = open_console()
    console.print(_funnel(outcome.results.values()))
    if varied := {name: result.diversity for name, result in outcome.results.items() if result.diversity}:
        console.print()
        console.print(table(varied))
    shown = stage or _last_with_rows(outcome.results)
    if rows and shown:
        _print_rows(console, shown, outcome.folders[shown], rows)
    for result in outcome.results.values():
        if result.shape == "job" or result.metrics:
            _print_metrics(console, result)
    console.print(f"\nEverything is in {outcome.folder}/", style="bold")
    for name, folder in outcome.folders.items():
        what = (
            "model/, metrics"
            if (folder / "model").is_dir()
            else "scores"
            if outcome.results[name].shape == "job"
            else "rows.jsonl, dropped.jsonl"
        )
        console.print(f"  {folder.name:<28} {what}", style="dim")


def print_run(root: Path, run: str | None, *, stage: str | None, rows: int) -> None:
    """The report of a run that lies on disk, finished or not. Raises ``ConfigError``."""
    outcome, waiting = read_run(root, run)
    if stage is not None and stage not in outcome.folders:
        there = ", ".join(outcome.folders) or "none"
        raise ConfigError(f"{outcome.folder}: no finished stage {stage!r}; there are: {there}")
    print_outcome(outcome, rows, stage)
    if waiting:
        open_console().print(f"not finished: {', '.join(waiting)}", style="yellow")


def read_run(root: Path, run: str | None) -> tuple[Outcome, list[str]]:
    """What is finished of a run that lies on disk, and the stages that are not. Raises ``ConfigError``."""
    folder = _run_folder(root, run)
    index = json.loads((folder / "run.json").read_text())["stages"]
    folders = {name: folder / place for name, place in index.items() if (folder / place / MARKER).is_file()}
    results = {name: read_result(place) for name, place in folders.items()}
    return Outcome(folder, results, folders), [name for name in index if name not in folders]


def print_preview(root: Path, pipeline: Pipeline, n: int) -> None:
    """Each stage's rows and drops, for the few records of a preview, also of a stage that kept none."""
    store, console = Store(root, pipeline), open_console()
    for node in pipeline.nodes:
        console.print(Text(f"\n{node.name} ({node.stage.name})", style="bold"))
        for path in (store.path(node) / ROWS, store.path(node) / DROPPED):
            for record in islice(read_records(path), n) if path.is_file() else ():
                console.print(_row(record))


def open_console() -> Console:
    """Plain text in, plain text out: nothing that a record or a metric holds is read as markup."""
    width = None if sys.stdout.isatty() else _PIPED_WIDTH
    return Console(highlight=False, markup=False, emoji=False, width=width)


def _run_folder(root: Path, run: str | None) -> Path:
    candidates = [Path(run), root / run] if run else sorted(root.glob("*"), key=_touched, reverse=True)
    for candidate in candidates:
        if (candidate / "run.json").is_file():
            return candidate
    known = ", ".join(sorted(p.parent.name for p in root.glob("*/run.json"))) or "none"
    raise ConfigError(f"no run {run!r} under {root}; there are: {known}" if run else f"no runs under {root} yet")


def _touched(folder: Path) -> float:
    index = folder / "run.json"
    return index.stat().st_mtime if index.is_file() else 0.0


def _funnel(results: Iterable[Result]) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for column, justify in (
        ("stage", "left"),
        ("read", "right"),
        ("kept", "right"),
        ("dropped", "right"),
        ("why", "left"),
        ("calls", "right"),
        ("seconds", "right"),
        ("MB", "right"),
    ):
        table.add_column(column, justify=justify, overflow="fold")  # type: ignore[arg-type]
    for r in results:
        why = ", ".join(
            f"{reason.partition(':')[2] or reason} {count:,}" for reason, count in list(r.reasons.items())[:4]
        )
        kept = "" if r.shape == "job" else f"{r.kept:,}"
        dropped = f"{r.dropped:,}" if r.dropped else ""
        calls = f"{r.calls + r.replayed:,}" if r.calls or r.replayed else ""
        read, spent = f"{r.read:,}" if r.read else "", (f"{r.seconds:.1f}", f"{r.peak_memory_mb:,}")
        table.add_row(r.name, read, kept, dropped, Text(why), calls, *spent)
    return table


def _last_with_rows(results: dict[str, Result]) -> str | None:
    made = [name for name, result in results.items() if result.shape not in ("job", "source")]
    read = [
        name for name, result in results.items() if result.shape == "source"
    ]  # such as a test set, read last of all
    return next(reversed([*read, *made]), None)


def _print_rows(console: Console, name: str, folder: Path, n: int) -> None:
    rows = list(_spread(folder, read_result(folder).kept, n))
    console.print(Text(f"\n{len(rows)} rows of {name}", style="bold"))
    for record in rows:
        console.print(_row(record))


def _spread(folder: Path, total: int, n: int) -> Iterator[Record]:
    """``n`` rows at even distances."""
    step = max(1, total // max(n, 1))
    yield from islice(islice(read_records(folder / ROWS), 0, None, step), n)


def _row(record: Record) -> Text:
    text = Text("  ")
    text.append(shortened(" | ".join(m.content for m in record.prompt)), style="cyan")
    for answer in record.answers:
        text.append("\n    → ").append(shortened(answer.content))
        if answer.scores:
            text.append("  " + ", ".join(f"{printable(k)} {v:.3g}" for k, v in answer.scores.items()), style="dim")
    if record.dropped:
        evidence = ", ".join(f"{k}={spelled(v)}" for k, v in record.dropped.evidence.items())
        text.append(f"\n    dropped {record.dropped.reason}  {shortened(evidence)}", style="red")
    return text


def print_under(console: Console, text: Text) -> None:
    """A text two spaces in, all of its lines."""
    for line in text.wrap(console, console.width - 2):
        line.rstrip()
        console.print(Text("  ").append_text(line))


def spelled(value: Any) -> str:
    """A piece of evidence, or a label, as short as it can be told."""
    return f"{value:.3g}" if isinstance(value, float) else repr(value)


def shortened(text: str) -> str:
    """A text as one short line that a terminal can show."""
    flat = " ⏎ ".join(map(printable, text.splitlines()))
    return flat if len(flat) <= _CUT else flat[: _CUT - 1] + "…"


def printable(line: str) -> str:
    """A line without anything that a terminal would take for a command."""
    return "".join(c if c.isprintable() else "�" for c in line)


def _print_metrics(console: Console, result: Result) -> None:
    console.print(Text(f"\n{result.name} ({result.use})", style="bold"))
    nested = {key: value for key, value in result.metrics.items() if isinstance(value, dict) and _flat(value)}
    flat = {key: value for key, value in result.metrics.items() if isinstance(value, (int, float, str))}
    if flat:
        words = "  ".join(f"{key}\0{_number(value)}" for key, value in flat.items())  # a line never ends within a pair
        for line in textwrap.wrap(words, console.width - 2, break_on_hyphens=False):
            console.print(f"  {line.replace(chr(0), ' ')}")
    if nested:
        table = Table(box=None, pad_edge=False, header_style="dim", padding=(0, 2, 0, 2))
        columns = list(dict.fromkeys(key for value in nested.values() for key in _flat(value)))
        for column in ["", *columns]:
            table.add_column(column, justify="right" if column else "left")
        for key, value in nested.items():
            table.add_row(Text(printable(key)), *(_number(value[c]) if c in value else "" for c in columns))
        console.print(table)


def _flat(value: dict[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in value.items() if isinstance(v, (int, float, str))}


def _number(value: Any) -> str:
    if isinstance(value, float) and 0 < abs(value) < 0.001:
        return f"{value:.1e}"
    return (
        f"{value:.3f}"
        if isinstance(value, float)
        else f"{value:,}"
        if isinstance(value, int)
        else printable(str(value))
    )
