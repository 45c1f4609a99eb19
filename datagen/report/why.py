"""What became of a row, stage by stage."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path

from rich.text import Text

from datagen.record import Record
from datagen.report.lineage import Lineage, Row
from datagen.report.show import open_console, print_under, printable, read_run
from datagen.report.trace import reason, said
from datagen.store import Result

_SHORT = 12
_SHOWN = 4


def print_why(root: Path, run: str, prefix: str) -> None:
    """The row whose id begins so, and a line for each stage that it reached.

    It was made, kept, dropped (with the evidence), made into others, read, or left out. Raises ``ConfigError``.
    """
    outcome, waiting = read_run(root, run)
    lineage, screen = Lineage(outcome), open_console()
    id = lineage.identify(prefix)
    screen.print(Text(id, style="bold"))
    for line in said(lineage.first([id])[id].record):
        print_under(screen, line)
    kept: dict[str, Record] = {}
    born: set[str] = set()
    for result in lineage.stages:
        rows = lineage.rows(id, result)
        own = [row.record for row in rows if row.id == id]
        children = [row for row in rows if row.id != id]
        if fate := _fate(own, children, result, _given(result, kept), born):
            screen.print(Text(f"  {result.name:<16} ").append(fate))
        kept.update((result.name, record) for record in own if not record.dropped)
        born.update(row.id for row in children)
    if waiting:
        screen.print(f"not finished: {', '.join(waiting)}", style="yellow")


def _given(result: Result, kept: Mapping[str, Record]) -> Record | None:
    """The row as a stage was given it, if it was."""
    for name, _, part in (one.partition(".") for one in result.inputs):
        if name in kept and (not part or kept[name].labels.get("split") == part):
            return kept[name]
    return None


def _fate(
    own: Sequence[Record], children: Sequence[Row], result: Result, given: Record | None, born: Collection[str]
) -> Text | None:
    """What a stage did to a row, or to the rows that were made of it before; None where none of them reached it."""
    if dropped := next((record for record in own if record.dropped), None):
        return Text(f"dropped {reason(dropped)}", style="red")
    if own:
        return Text(("kept" if given else f"made ({result.use})") + _news(own[0], given))
    if children:
        old = any(row.id in born for row in children)
        return Text(("of what was made of it: " if old else "made of it: ") + _counted(children))
    if given is None:
        return None
    return Text("read") if result.shape == "job" else Text("left out", style="yellow")


def _news(record: Record, given: Record | None) -> str:
    """The scores that a stage gave."""
    old = {(at, name) for at, answer in enumerate(given.answers if given else ()) for name in answer.scores}
    scores = [
        f"  {printable(name)} {score:g}"
        for at, answer in enumerate(record.answers)
        for name, score in answer.scores.items()
        if (at, name) not in old
    ]
    return "".join(scores)


def _counted(rows: Sequence[Row]) -> str:
    """How many are kept, with the first ids, and how many dropped for which reason."""
    kept = [row.id[:_SHORT] for row in rows if not row.record.dropped]
    drops = Counter(row.record.dropped.reason for row in rows if row.record.dropped)
    shown = [*kept[:_SHOWN], *(["…"] if len(kept) > _SHOWN else [])]
    counts = [f"{len(kept):,} kept" + (f" ({', '.join(shown)})" if kept else "")]
    return ", ".join(counts + [f"{count:,} dropped {why}" for why, count in drops.most_common()])
