"""A stage's rows in the shape that the next tool reads, where the user wants them; what a shape cannot hold is said."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, Any

import orjson

from datagen.errors import ConfigError
from datagen.record import Record, encode, read_records
from datagen.report.containers import check as check_place
from datagen.report.containers import container, write
from datagen.store import DROPPED, ROWS
from datagen.text.shapes import SHAPES, Row, lost


@dataclass
class Exported:
    """What became of the rows: by split, by what they lost (and of how many), and by why they have no such row."""

    output: Path
    shape: str
    splits: Counter[str] = field(default_factory=Counter)
    read: int = 0
    lost: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)
    dropped: int = 0
    """Rows in the file beside it: those that the stages dropped, and the refused ones."""
    example: Row | None = None


def check(output: Path, shape: str) -> None:
    """Raises ``ConfigError`` for a place or a shape that cannot be written."""
    check_place(output)
    if shape not in SHAPES:
        raise ConfigError(f"{output}: no format {shape!r} to write; allowed: {', '.join(SHAPES)}")


def export(output: Path, shape: str, rows: Path, drops: Iterable[Path] = ()) -> Exported:
    """Write the rows of the stage folder ``rows`` to ``output``, and those dropped in ``drops`` beside it.

    A row that the shape has no place for is dropped (``export:why``). Raises ``ConfigError`` where none is left.
    """
    check(output, shape)
    output.parent.mkdir(parents=True, exist_ok=True)
    found = Exported(output, shape)
    beside = dropped_beside(output)
    with beside.open("wb") as file:
        if container(output) == "lines" and shape == "records":
            found.read = found.splits["train"] = _joined(output, rows / ROWS)  # the very lines, as they were written
        else:
            converted = _converted(read_records(rows / ROWS), found, file)
            found.splits = write(output, converted, SHAPES[shape].columns)
    if found.refused and not found.splits:
        if output.is_file():
            output.unlink()
        raise ConfigError(f"{output}: no row fits {shape}: {counted(found.refused)}; see {beside}")
    found.dropped = found.refused.total() + sum(_joined(beside, folder / DROPPED, "ab") for folder in drops)
    if not found.dropped:
        beside.unlink()
    return found


def dropped_beside(output: Path) -> Path:
    """Where the dropped rows of an export go."""
    return output.with_name(f"{output.name.removesuffix(output.suffix)}.dropped.jsonl")


def said(found: Exported) -> Iterator[str]:
    """What to tell the user about an export."""
    splits = ", ".join(f"{name} {count:,}" for name, count in found.splits.items())
    parts = f": {splits}" if len(found.splits) > 1 else ""
    yield f"wrote {found.splits.total():,} rows to {found.output} ({found.shape}{parts})"
    if found.lost:
        yield f"not held by {found.shape}: {losses(found)}; --format records holds all"
    if found.refused:
        yield f"{found.refused.total():,} rows fit no {found.shape}: {counted(found.refused)}"
    if found.dropped:
        yield f"wrote {found.dropped:,} dropped rows, with reasons, to {dropped_beside(found.output)}"


def losses(found: Exported) -> str:
    """What the shape could not hold, and of how many rows."""
    return ", ".join(f"{what} ({count:,} rows)" for what, count in found.lost.most_common())


def counted(counts: Counter[str]) -> str:
    """Names with their counts in one line."""
    return ", ".join(f"{name.replace('_', ' ')} {count:,}" for name, count in counts.most_common())


def _converted(records: Iterable[Record], found: Exported, refused: IO[bytes]) -> Iterator[tuple[str, Row]]:
    parts = container(found.output) in ("folder", "disk")
    native = found.shape == "records" and container(found.output) == "array"
    for record in records:
        found.read += 1
        rows: list[Any] | str = [orjson.loads(encode(record))] if native else SHAPES[found.shape].rows(record)
        if isinstance(rows, str):
            found.refused[rows] += 1
            refused.write(encode(record.drop(f"export:{rows}", shape=found.shape)) + b"\n")
            continue
        found.lost.update(lost(record, found.shape))
        found.example = found.example or rows[0]
        split = record.labels.get("split") if parts else None
        for row in rows:
            yield split if isinstance(split, str) else "train", row


def _joined(path: Path, lines: Path, mode: str = "wb") -> int:
    """A file of lines written to, or put behind, another; gives back how many lines it has."""
    count = 0
    with path.open(mode) as file:
        if lines.is_file():
            with lines.open("rb") as source:
                while block := source.read(2**20):
                    file.write(block)
                    count += block.count(b"\n")
    return count
