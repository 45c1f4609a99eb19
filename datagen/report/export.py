"""A run's last rows as one file, in the format that the next tool reads."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import orjson

from datagen.errors import ConfigError
from datagen.record import Record, encode, read_records
from datagen.runner import Outcome
from datagen.store import DROPPED, ROWS
from datagen.text.formats import FORMATS

SHAPES = ("records", "messages", "alpaca", "preference")


def export(outcome: Outcome, output: Path, shape: str) -> Iterator[str]:
    """Write the kept rows of the last stage to ``output`` and all dropped ones beside it; yields lines to print.

    Raises ``ConfigError`` for a suffix or a shape that cannot be written.
    """
    output.parent.mkdir(parents=True, exist_ok=True)
    last = list(outcome.folders.values())[-1]
    if output.suffix == ".jsonl" and shape == "records":
        kept = _joined(output, [last / ROWS])  # the very lines, as they were written
    else:
        kept = write(output, read_records(last / ROWS), shape)
    yield f"wrote {kept:,} rows to {output} ({shape})"
    drops = [folder / DROPPED for folder in outcome.folders.values() if (folder / DROPPED).is_file()]
    beside = output.with_name(f"{output.name.removesuffix(output.suffix)}.dropped.jsonl")
    if dropped := _joined(beside, drops):
        yield f"wrote {dropped:,} dropped rows, with reasons, to {beside}"
    else:
        beside.unlink()


def write(path: Path, records: Iterable[Record], shape: str) -> int:
    """Write records in a shape to .jsonl, .json or .parquet (the last two hold all rows); returns their number."""
    check(path, shape)
    if path.suffix == ".jsonl" and shape == "records":
        return _lines(path, map(encode, records))
    rows = _rows(path, records, shape)
    if path.suffix == ".jsonl":
        return _lines(path, map(orjson.dumps, rows))
    held = list(rows)
    if path.suffix == ".json":
        path.write_bytes(orjson.dumps(held, option=orjson.OPT_INDENT_2) + b"\n")
    else:
        _parquet(path, held)
    return len(held)


def check(path: Path, shape: str) -> None:
    """Raises ``ConfigError`` for a suffix or a shape that cannot be written."""
    if path.suffix not in (".jsonl", ".json", ".parquet"):
        raise ConfigError(f"{path}: must end in .jsonl, .json or .parquet")
    if shape not in SHAPES:
        raise ConfigError(f"{path}: no format {shape!r} to write; allowed: {', '.join(SHAPES)}")


def _rows(path: Path, records: Iterable[Record], shape: str) -> Iterator[dict[str, Any]]:
    as_row: Callable[[Record], dict[str, Any]] | None = FORMATS[shape].write  # type: ignore[index]
    assert as_row is not None, f"{shape} can be written"
    for record in records:
        if shape == "preference" and len(record.answers) < 2:
            raise ConfigError(f"{path}: preference rows need two answers; {record.id} has {len(record.answers)}")
        yield as_row(record)


def _joined(path: Path, parts: Iterable[Path]) -> int:
    """Files of lines one after the other; gives back how many lines there are."""
    count = 0
    with path.open("wb") as file:
        for part in parts:
            with part.open("rb") as lines:
                while block := lines.read(2**20):
                    file.write(block)
                    count += block.count(b"\n")
    return count


def _lines(path: Path, lines: Iterable[bytes]) -> int:
    count = 0
    with path.open("wb") as file:
        for line in lines:
            file.write(line + b"\n")
            count += 1
    return count


def _parquet(path: Path, rows: list[dict[str, Any]]) -> None:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise ConfigError(f"{path}: Parquet needs pyarrow; install it with: pip install 'datagen[parquet]'") from error
    pyarrow.parquet.write_table(pyarrow.Table.from_pylist(rows), path)
