"""The items of a benchmark, as its own files hold them: what ``filters.decontaminate`` compares with.

A preset, a small YAML file (``seeds/benchmarks/*.yaml``, or your own), says which fields make up an item: ``item``, a
list of columns (dots go into nested ones); ``files``, which files of a folder hold items; ``columns``, the names of
columns in a CSV or TSV file that has none. The benchmark's files are the user's to fetch.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Literal

import msgspec
import yaml

from datagen.errors import ConfigError, DataError
from datagen.record import Record, instruction
from datagen.sources.files import Row, numbered_rows, opened, parsed

_RAW = 1000
_DELIMITERS = {".csv": ",", ".tsv": "\t"}


class Preset(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """How a benchmark's items lie in its files."""

    item: tuple[str, ...]
    files: str = "*"
    columns: tuple[str, ...] = ()


def check(arguments: dict[str, Any]) -> None:
    """Raises ``ConfigError`` for a preset that is none, and a folder without the files that it names."""
    _files(Path(arguments["path"]), _preset(Path(arguments["preset"])))


def benchmark(*, path: Path, preset: Path, limit: int | None = None) -> Iterator[Record]:
    """Each item as a record without an answer, in the order of the files' names; its label ``item`` is file and row.

    ``path`` is a file (JSON, JSON lines, CSV, TSV or Parquet, also compressed) or a folder of them. A row without any
    of the item's fields comes out dropped (``benchmark:malformed``). Raises ``DataError`` where no row has them.
    """
    form, found = _preset(preset), 0
    for file in _files(path, form):
        for number, row in _rows(file, form):
            if limit is not None and found >= limit:
                return
            text = _item(row, form)
            made = instruction(text or repr(row)[:_RAW], source=preset.stem, labels={"item": f"{file.name}:{number}"})
            found += bool(text)
            yield made if text else made.drop("benchmark:malformed", fields=list(form.item))
    if not found and limit != 0:
        raise DataError(f"{path}: no row has {' or '.join(form.item)}, of which {preset} says that an item consists")


def _preset(path: Path) -> Preset:
    try:
        return msgspec.convert(yaml.safe_load(path.read_text(encoding="utf-8")), Preset)
    except (yaml.YAMLError, msgspec.ValidationError, UnicodeDecodeError) as error:
        raise ConfigError(f"{path}: no preset of a benchmark, such as {{item: [question]}}: {error}") from error


def _files(path: Path, form: Preset) -> list[Path]:
    if path.is_file():
        return [path]
    files = sorted(one for one in path.rglob(form.files) if one.is_file())
    if not files:
        raise ConfigError(f"{path}: holds no file {form.files}")
    return files


def _rows(file: Path, form: Preset) -> Iterator[tuple[int, Row]]:
    delimiter = next((_DELIMITERS[suffix] for suffix in file.suffixes if suffix in _DELIMITERS), None)
    if delimiter is None:
        yield from ((number, parsed(row)) for number, row in numbered_rows(file))
        return
    quoting: Literal[0, 3] = csv.QUOTE_MINIMAL if delimiter == "," else csv.QUOTE_NONE
    with opened(file) as raw:
        text = io.TextIOWrapper(raw, encoding="utf-8-sig", newline="")
        rows = csv.DictReader(text, form.columns or None, delimiter=delimiter, quoting=quoting)
        try:
            yield from enumerate(rows, 1)
        except (csv.Error, UnicodeDecodeError) as error:
            raise DataError(f"{file}, line {rows.line_num + 1}: {error}") from error


def _item(row: Row, form: Preset) -> str:
    parts = [_text(_value(row, field)) for field in form.item]
    return "\n".join(part for part in parts if part.strip())


def _value(row: Row, field: str) -> Any:
    for name in field.split("."):
        row = row.get(name) if isinstance(row, Mapping) else None
    return row


def _text(value: Any) -> str:
    if isinstance(value, str):
        return value
    return "\n".join(filter(None, map(_text, value))) if isinstance(value, list) else ""
