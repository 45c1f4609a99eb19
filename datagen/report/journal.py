"""``datagen journal``: what the journal holds and what it cost; search it, export it, make it smaller."""

from __future__ import annotations

import argparse
import re
import sys
from datetime import UTC, datetime
from pathlib import Path

import msgspec
from rich.console import Console
from rich.table import Table

from datagen.errors import ConfigError
from datagen.llm import journal_tools
from datagen.llm.journal_tools import Chosen

_AROUND = 60
_PIPED_WIDTH = 120


def command(options: argparse.Namespace) -> int:
    """One of the commands below. Raises ``ConfigError`` where there is no journal, or no such model in it."""
    path = options.root / "journal.sqlite"
    if options.action == "stats":
        return _stats(path)
    if options.model is not None and not journal_tools.totals(path, Chosen(options.model)):
        known = ", ".join(total[0] for total in journal_tools.totals(path)) or "none"
        raise ConfigError(f"{path} holds no reply of {options.model!r}; of these it does: {known}")
    if options.action == "grep":
        return _grep(path, Chosen(options.model), options.pattern, options.n)
    if options.action == "export":
        return _export(path, Chosen(options.model), options.output)
    return _prune(path, Chosen(options.model, options.older_than), sure=options.yes)


def _stats(path: Path) -> int:
    console = Console(highlight=False, markup=False, emoji=False, width=None if sys.stdout.isatty() else _PIPED_WIDTH)
    kept = _table("replies of", "replies", "prompt tokens", "completion tokens", "first", "last")
    for model, *counts, first, last in journal_tools.totals(path):
        kept.add_row(model, *(f"{count:,}" for count in counts), _day(first), _day(last))
    console.print(kept)
    paid = _table("paid by run", "for", "calls", "prompt tokens", "completion tokens", "USD")
    for run, model, *counts, usd in journal_tools.spending(path):
        paid.add_row(run or "(none)", model, *(f"{count:,}" for count in counts), f"{usd:.4f}")
    console.print("", paid, f"\n{path}: {_mb(path):,.1f} MB", sep="\n")
    return 0


def _grep(path: Path, chosen: Chosen, pattern: str, most: int | None) -> int:
    """Print the replies that a regular expression matches; 1 where there is none, as grep does."""
    try:
        wanted = re.compile(pattern)
    except re.error as error:
        raise ConfigError(f"journal grep {pattern!r}: not a regular expression: {error}") from error
    found = 0
    for one in journal_tools.stored(path, chosen):
        if match := wanted.search(one.reply.text):
            around = one.reply.text[max(0, match.start() - _AROUND) : match.end() + _AROUND]
            shown = "".join(character if character.isprintable() else " " for character in around)
            print(f"{one.key[:8]} {_day(one.created)} {one.model}: {shown}")
            found += 1
            if found == most:
                break
    return 0 if found else 1


def _export(path: Path, chosen: Chosen, output: Path) -> int:
    output.parent.mkdir(parents=True, exist_ok=True)
    count = 0
    with output.open("wb") as file:
        for one in journal_tools.stored(path, chosen):
            file.write(msgspec.json.encode(one) + b"\n")
            count += 1
    print(f"wrote {count:,} replies to {output}")
    return 0


def _prune(path: Path, chosen: Chosen, *, sure: bool) -> int:
    if chosen == Chosen():
        raise ConfigError("journal prune: say which: --model NAME, --older-than DAYS, or both")
    counts = [(replies, completion) for _, replies, _, completion, *_ in journal_tools.totals(path, chosen)]
    replies, tokens = (sum(column) for column in zip(*counts, strict=True)) if counts else (0, 0)
    what = f"{replies:,} replies ({tokens:,} completion tokens)"
    if not sure:
        print(f"would delete {what}; whoever needs them again pays for them again. To do it, add --yes")
        return 0
    before = _mb(path)
    journal_tools.delete(path, chosen)
    print(f"deleted {what}; the file shrank from {before:,.1f} to {_mb(path):,.1f} MB")
    return 0


def _day(created: float) -> str:
    return datetime.fromtimestamp(created, UTC).date().isoformat()


def _mb(path: Path) -> float:
    return path.stat().st_size / 2**20


def _table(*columns: str) -> Table:
    table = Table(box=None, pad_edge=False, header_style="bold")
    for number, column in enumerate(columns):
        table.add_column(column, justify="right" if number else "left", overflow="fold")
    return table
