"""Rows of a file as records: JSON lines, a JSON array, or Parquet, plain or compressed (.gz, .zst)."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Any, Literal

import orjson

from datagen.errors import DataError
from datagen.record import Record, blocks_of_lines, decode, instruction
from datagen.sources.files import is_document, numbered_rows, opened, parsed, stripped
from datagen.stage import Blocks
from datagen.text.formats import FORMATS, Format, FormatName, checked, detect

logger = logging.getLogger("datagen")

_PEEK = 100
_WARNINGS = 5
_RAW = 1000
_DEEPEST = 200  # lists and mappings in one another: both JSON codecs go no deeper than Python's own stack
_Row = Any  # a line's bytes, or what an array or Parquet file holds


def jsonl(
    *,
    path: Path,
    format: Literal["auto", "records", "alpaca", "messages", "self_instruct", "preference", "plain"] = "auto",
    limit: int | None = None,
) -> Iterator[Record]:
    """The file's records, at most ``limit``; ``auto`` goes by the keys of the first rows.

    JSON lines and Parquet stream; a JSON array is held in memory. A row that cannot be read comes out dropped
    (``jsonl:malformed``) with its number and text. Raises ``DataError`` where no row can be read.
    """
    rows = numbered_rows(path)
    head = list(itertools.islice(rows, _PEEK))
    form = FORMATS[_detected(path, head) if format == "auto" else format]
    valid = 0
    records = _records(itertools.chain(head, rows), form)
    for record in _told(path, itertools.islice(records, limit)):
        valid += record.dropped is None
        yield record
    if not valid and limit != 0:
        raise DataError(f"{path}: no row could be read as {form.columns}")


def in_blocks(arguments: dict[str, Any]) -> Blocks | None:
    """A whole file of lines in blocks; None for any other, and where the first rows do not show how to read it."""
    path, format = arguments["path"], arguments["format"]
    if arguments["limit"] is not None or path.suffix == ".parquet":
        return None
    with opened(path) as file:
        if is_document(path, file):
            return None
    head = list(itertools.islice(numbered_rows(path), _PEEK))
    name = _detected(path, head) if format == "auto" else format
    if all(record.dropped for record in _records(head, FORMATS[name])):
        return None
    return Blocks(_blocks(path), partial(_read_block, name), partial(_tell, path))


def _blocks(path: Path) -> Iterator[tuple[int, bytes]]:
    with opened(path) as file:
        yield from blocks_of_lines(file)


def _read_block(name: FormatName, block: tuple[int, bytes]) -> list[Record]:
    first, lines = block
    return list(_records(stripped(lines.split(b"\n"), first), FORMATS[name]))


def _records(rows: Iterable[tuple[int, _Row]], form: Format) -> Iterator[Record]:
    read = _reader(form)
    for number, row in rows:
        try:
            for record in read(row):
                if _is_deep(record.labels):
                    raise ValueError(f"nested more than {_DEEPEST} deep")
                yield record
        except (ValueError, KeyError, TypeError, AttributeError, RecursionError) as error:
            why = f"{error} is missing" if isinstance(error, KeyError) else str(error)
            raw = (row if isinstance(row, bytes) else orjson.dumps(row, default=str)).decode("utf-8", "replace")
            yield instruction(raw).drop("jsonl:malformed", line=number, error=why, raw=raw[:_RAW])


def _is_deep(value: dict[str, Any]) -> bool:
    """Whether it could be read but not be written again, or only where the stack is short."""
    level: list[Any] = [value]
    for _ in range(_DEEPEST):
        held = itertools.chain.from_iterable(one.values() if isinstance(one, dict) else one for one in level)
        level = [one for one in held if isinstance(one, dict | list)]
        if not level:
            return False
    return True


def _told(path: Path, records: Iterable[Record]) -> Iterator[Record]:
    """The same records, with a warning for the first few malformed ones, and at the end of how many there were."""
    malformed = 0
    for record in records:
        if record.dropped is not None:
            malformed += 1
            if malformed <= _WARNINGS:
                evidence = record.dropped.evidence
                logger.warning("%s, row %d: %s", path, evidence["line"], evidence["error"])
        yield record
    if malformed > _WARNINGS:
        logger.warning("%s: %d malformed rows in all", path, malformed)


def _tell(path: Path, dropped: Iterator[Record]) -> None:
    for _ in _told(path, dropped):
        pass


def _reader(form: Format) -> Callable[[_Row], list[Record]]:
    """Raises ``ValueError`` (so do both JSON decoders), or what a row of unforeseen types trips over."""

    def read(row: _Row) -> list[Record]:
        found = orjson.loads(row) if isinstance(row, bytes) else row
        if not isinstance(found, dict):
            raise ValueError("not a JSON object")
        return form.read(found)

    def read_record(row: _Row) -> list[Record]:  # several times faster than by way of a dictionary
        return [checked(decode(row))] if isinstance(row, bytes) else read(row)

    return read_record if form is FORMATS["records"] else read


def _detected(path: Path, head: list[tuple[int, _Row]]) -> FormatName:
    rows = [found for _, row in head if isinstance(found := parsed(row), dict)]
    for row in rows:
        if found := detect(row):
            return found
    allowed = "; ".join(f"{name} ({form.columns})" for name, form in FORMATS.items())
    if not rows:
        raise DataError(f"{path}: holds no JSON object; allowed formats: {allowed}")
    raise DataError(f"{path}: a row with the keys {', '.join(map(str, rows[0]))} fits no format; allowed: {allowed}")
