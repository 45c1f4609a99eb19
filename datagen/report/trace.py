"""What a row was made from: its ancestry down to the seeds, with the raw replies."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.text import Text

from datagen.llm.journal import Journal
from datagen.record import Record
from datagen.report.lineage import Lineage, Row
from datagen.report.show import open_console, print_under, printable, read_run, shortened, spelled

_SHORT = 12


def print_trace(root: Path, run: str, prefix: str, *, most: int) -> None:
    """The row whose id begins so, its parents, theirs, and so on down to the seeds, each with its raw replies.

    A row is printed once, nearest first, ``most`` of them at most. Raises ``ConfigError``.
    """
    lineage, screen = Lineage(read_run(root, run)[0]), open_console()
    path = root / "journal.sqlite"
    journal = Journal(path) if path.is_file() else None
    wanted = [lineage.identify(prefix)]
    seen, printed, depth = set(wanted), 0, 0
    try:
        while wanted:
            found = lineage.first(wanted)
            for id in wanted[: most - printed]:
                _print_row(screen, id, found.get(id), depth, lineage, journal)
            if (printed := printed + len(wanted)) > most:
                screen.print(f"\n… and {printed - most} more, before their own parents; -n sets how many", style="dim")
                return
            parents = dict.fromkeys(parent for row in found.values() for parent in row.record.parents)
            wanted = [parent for parent in parents if parent not in seen]
            seen.update(wanted)
            depth += 1
    finally:
        if journal:
            journal.close()


def _print_row(
    screen: Console, id: str, row: Row | None, depth: int, lineage: Lineage, journal: Journal | None
) -> None:
    generation = "parent" if depth == 1 else f"ancestor {depth} steps back" if depth else "row"
    if row is None:
        screen.print(Text(f"\n{id[:_SHORT]}  {generation}, in no finished stage of this run", style="bold"))
        return
    screen.print(Text(f"\n{id[:_SHORT]}  {generation}, made by {row.stage.name} ({row.stage.use})", style="bold"))
    for line in said(row.record):
        print_under(screen, line)
    for key in lineage.calls(id, row.stage):
        reply = journal.get(bytes.fromhex(key)) if journal else None
        if reply is None:
            screen.print(Text(f"  reply {key[:_SHORT]} is not in the journal", style="yellow"))
            continue
        cut = "" if reply.finish_reason == "stop" else f", {reply.finish_reason}"
        screen.print(Text(f"  raw reply {key[:_SHORT]}, {reply.usage.completion_tokens} tokens{cut}", style="dim"))
        for text in reply.text.splitlines():
            screen.print(Text(f"    │ {printable(text)}"))


def said(record: Record) -> Iterator[Text]:
    """A record's turns, answers with their scores and notes, labels that say more, and why it was dropped."""
    for turn in record.prompt:
        yield Text(f"{turn.role}: {shortened(turn.content)}", style="cyan")
    for answer in record.answers:
        scores = "".join(f"  {printable(name)} {score:g}" for name, score in answer.scores.items())
        model = f"  ({printable(answer.model)})" if answer.model else ""
        yield Text(f"→ {shortened(answer.content)}{model}{scores}")
    told = {turn.content for turn in record.prompt} | {""}
    labels = {name: value for name, value in record.labels.items() if str(value) not in told} if record.labels else {}
    if labels:
        yield Text(", ".join(f"{printable(name)} {_label(value)}" for name, value in labels.items()), "dim")
    if record.dropped:
        yield Text(f"dropped {reason(record)}", style="red")


def _label(value: Any) -> str:
    return shortened(value if isinstance(value, str) else spelled(value))


def reason(record: Record) -> str:
    """Why a record was dropped, and the evidence, in a line."""
    assert record.dropped, "a dropped record"
    evidence = ", ".join(f"{name}={spelled(value)}" for name, value in record.dropped.evidence.items())
    return f"{record.dropped.reason}  {shortened(evidence)}".rstrip()
