"""Rows of a file as records: JSON lines, a JSON array, or Parquet, plain or compressed (.gz, .zst)."""

from __future__ import annotations

import gzip
import itertools
import logging
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any, Literal, cast

import orjson

from datagen.errors import ConfigError, DataError
from datagen.record import Record, decode, instruction
from datagen.text.formats import FORMATS, Format, FormatName, checked, detect
from datagen.zstd import zstd

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
    rows = _rows(path)
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
    parsed = orjson.loads(row) if isinstance(row, bytes) else row
    if not isinstance(parsed, dict):
        raise ValueError("not a JSON object")
    return form.read(parsed)


def _detected(path: Path, head: list[tuple[int, _Row]]) -> FormatName:
    rows = [parsed for _, row in head if isinstance(parsed := _parsed(row), dict)]
    for row in rows:
        if found := detect(row):
            return found
    allowed = "; ".join(f"{name} ({form.columns})" for name, form in FORMATS.items())
    if not rows:
        raise DataError(f"{path}: holds no JSON object; allowed formats: {allowed}")
    raise DataError(f"{path}: a row with the keys {', '.join(map(str, rows[0]))} fits no format; allowed: {allowed}")


def _parsed(row: _Row) -> Any:
    try:
        return orjson.loads(row) if isinstance(row, bytes) else row
    except orjson.JSONDecodeError:
        return None


def _rows(path: Path) -> Iterator[tuple[int, _Row]]:
    """Rows and their numbers: lines are counted as in an editor, entries of an array from 1."""
    if path.suffix == ".parquet":
        yield from enumerate(_parquet(path), 1)
        return
    try:
        with _open(path) as file:
            if _is_document(path, file):
                yield from enumerate(_document(path), 1)
                return
        with _open(path) as file:
            for number, line in enumerate(file, 1):
                if line := line.removeprefix(b"\xef\xbb\xbf").strip():
                    yield number, line
    except (EOFError, gzip.BadGzipFile, zlib.error, zstd.ZstdError) as error:
        raise DataError(f"{path}: cannot be decompressed: {error}") from error


def _is_document(path: Path, file: IO[bytes]) -> bool:
    """One JSON value fills the file: an array, or in a ``.json`` file one object, on one line or over several."""
    lines = (text for line in file if (text := line.removeprefix(b"\xef\xbb\xbf").strip()))
    first = next(lines, b"")
    alone = ".json" in path.suffixes and bool(first) and (_parsed(first) is None or next(lines, None) is None)
    return first.startswith(b"[") or alone


def _document(path: Path) -> list[Any]:
    with _open(path) as file:
        try:
            value = orjson.loads(file.read().removeprefix(b"\xef\xbb\xbf"))
        except orjson.JSONDecodeError as error:
            raise DataError(f"{path}: not JSON: {error}") from error
    if isinstance(value, list):
        return value
    lists = [rows for rows in value.values() if isinstance(rows, list) and rows and isinstance(rows[0], dict)]
    return lists[0] if len(lists) == 1 and not detect(value) else [value]


def _open(path: Path) -> IO[bytes]:
    if path.suffix == ".gz":
        return cast(IO[bytes], gzip.open(path, "rb"))
    if path.suffix == ".zst":
        return cast(IO[bytes], zstd.open(path))
    return path.open("rb")


def _parquet(path: Path) -> Iterator[dict[str, Any]]:
    try:
        import pyarrow.parquet as parquet
    except ImportError as error:
        raise ConfigError(f"{path}: Parquet needs pyarrow; install it with: pip install 'datagen[parquet]'") from error
    for batch in parquet.ParquetFile(path).iter_batches(batch_size=1024):
        yield from batch.to_pylist()
