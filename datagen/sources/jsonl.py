"""Rows of a file as records: JSON lines, a JSON array, or Parquet, plain or compressed (.gz, .zst)."""

from __future__ import annotations

import itertools
import logging
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any, Literal

import orjson

from datagen.errors import DataError
from datagen.record import Record, decode, instruction
from datagen.sources.files import numbered_rows, parsed
from datagen.text.formats import FORMATS, Format, FormatName, checked, detect

logger = logging.getLogger("datagen")

_PEEK = 100
_WARNINGS = 5
_RAW = 1000
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
    for record in itertools.islice(_records(path, itertools.chain(head, rows), form), limit):
        valid += record.dropped is None
        yield record
    if not valid and limit != 0:
        raise DataError(f"{path}: no row could be read as {form.columns}")


def _records(path: Path, rows: Iterable[tuple[int, _Row]], form: Format) -> Iterator[Record]:
    malformed = 0
    for number, row in rows:
        try:
            yield from _read(row, form)
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            malformed += 1
            why = f"{error} is missing" if isinstance(error, KeyError) else str(error)
            if malformed <= _WARNINGS:
                logger.warning("%s, row %d: %s", path, number, why)
            raw = (row if isinstance(row, bytes) else orjson.dumps(row, default=str)).decode("utf-8", "replace")
            yield instruction(raw).drop("jsonl:malformed", line=number, error=why, raw=raw[:_RAW])
    if malformed > _WARNINGS:
        logger.warning("%s: %d malformed rows in all", path, malformed)


def _read(row: _Row, form: Format) -> list[Record]:
    """Raises ``ValueError`` (so do both JSON decoders), or what a row of unforeseen types trips over."""
    if form is FORMATS["records"] and isinstance(row, bytes):
        return [checked(decode(row))]  # several times faster than by way of a dictionary
    value = orjson.loads(row) if isinstance(row, bytes) else row
    if not isinstance(value, dict):
        raise ValueError("not a JSON object")
    return form.read(value)


def _detected(path: Path, head: list[tuple[int, _Row]]) -> FormatName:
    rows = [value for _, row in head if isinstance(value := parsed(row), dict)]
    for row in rows:
        if found := detect(row):
            return found
    allowed = "; ".join(f"{name} ({form.columns})" for name, form in FORMATS.items())
    if not rows:
        raise DataError(f"{path}: holds no JSON object; allowed formats: {allowed}")
    raise DataError(f"{path}: a row with the keys {', '.join(map(str, rows[0]))} fits no format; allowed: {allowed}")
