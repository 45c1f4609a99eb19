"""Rows of a file as they are: JSON lines, a JSON document or Parquet, plain or compressed (.gz, .zst)."""

from __future__ import annotations

import contextlib
import gzip
import zlib
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import IO, Any, cast

import orjson

from datagen.errors import ConfigError, DataError
from datagen.text.formats import detect
from datagen.zstd import zstd

Row = Any
"""A line's bytes, or what an array or Parquet file holds."""


def parsed(row: Row) -> Any:
    """A line's value, None where it is no JSON; any other row as it is."""
    try:
        return orjson.loads(row) if isinstance(row, bytes) else row
    except orjson.JSONDecodeError:
        return None


def numbered_rows(path: Path) -> Iterator[tuple[int, Row]]:
    """Rows and their numbers: lines are counted as in an editor, entries of an array from 1."""
    if path.suffix == ".parquet":
        yield from enumerate(_parquet(path), 1)
        return
    with opened(path) as file:
        if is_document(path, file):
            yield from enumerate(_document(path), 1)
            return
    with opened(path) as file:
        yield from stripped(file, 1)


def stripped(lines: Iterable[bytes], first: int) -> Iterator[tuple[int, bytes]]:
    """Lines that are not blank, with their numbers."""
    for number, line in enumerate(lines, first):
        if line := line.removeprefix(b"\xef\xbb\xbf").strip():
            yield number, line


def is_document(path: Path, file: IO[bytes]) -> bool:
    """One JSON value fills the file: an array, or in a ``.json`` file one object, on one line or over several."""
    lines = (text for line in file if (text := line.removeprefix(b"\xef\xbb\xbf").strip()))
    first = next(lines, b"")
    alone = ".json" in path.suffixes and bool(first) and (parsed(first) is None or next(lines, None) is None)
    return first.startswith(b"[") or alone


def _document(path: Path) -> list[Any]:
    with opened(path) as file:
        try:
            value = orjson.loads(file.read().removeprefix(b"\xef\xbb\xbf"))
        except orjson.JSONDecodeError as error:
            raise DataError(f"{path}: not JSON: {error}") from error
    if not isinstance(value, dict):
        return value if isinstance(value, list) else [value]
    lists = [rows for rows in value.values() if isinstance(rows, list) and rows and isinstance(rows[0], dict)]
    return lists[0] if len(lists) == 1 and not detect(value) else [value]


@contextlib.contextmanager
def opened(path: Path) -> Iterator[IO[bytes]]:
    """The file's bytes, decompressed where its name says that they are compressed. Raises ``DataError``."""
    try:
        with _open(path) as file:
            yield file
    except (EOFError, gzip.BadGzipFile, zlib.error, zstd.ZstdError) as error:
        raise DataError(f"{path}: cannot be decompressed: {error}") from error


def _open(path: Path) -> IO[bytes]:
    if path.suffix == ".gz":
        return cast(IO[bytes], gzip.open(path, "rb"))
    if path.suffix == ".zst":
        return cast(IO[bytes], zstd.open(path))
    return path.open("rb")


def _parquet(path: Path) -> Iterator[dict[str, Any]]:
    try:
        import pyarrow.parquet as parquet
        from pyarrow import ArrowException
    except ImportError as error:
        raise ConfigError(f"{path}: Parquet needs pyarrow; install it with: pip install 'datagen[parquet]'") from error
    try:
        with parquet.ParquetFile(path) as file:
            for batch in file.iter_batches(batch_size=1024):
                yield from batch.to_pylist()
    except ArrowException as error:
        raise DataError(f"{path}: not Parquet: {error}") from error
