"""Where exported rows go: lines, a JSON array, one Parquet file, or a folder with a file for each split.

A path without a suffix is a folder as the hub has it (``data/train-00000-of-00001.parquet``, a ``README.md``), which
``datasets.load_dataset`` reads; one that ends in ``.arrow`` is what ``DatasetDict.save_to_disk`` writes.
"""

from __future__ import annotations

import os
import re
import shutil
import tempfile
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import ExitStack
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any, Literal

import orjson

from datagen.errors import ConfigError
from datagen.text.shapes import Column, Row

Container = Literal["lines", "array", "parquet", "folder", "disk"]

_SUFFIXES: dict[str, Container] = {
    ".jsonl": "lines",
    ".json": "array",
    ".parquet": "parquet",
    "": "folder",
    ".arrow": "disk",
}
_BATCH = 5_000
_SPLIT = re.compile(r"\w+(\.\w+)*")
MARK = "<!-- made by datagen -->"
"""Stands in the card of an exported folder, which may then be written anew."""


def container(path: Path) -> Container:
    """What a path's suffix asks for. Raises ``ConfigError``."""
    if path.suffix not in _SUFFIXES:
        raise ConfigError(f"{path}: must end in .jsonl, .json, .parquet or .arrow, or be a folder without a suffix")
    return _SUFFIXES[path.suffix]


def check(path: Path) -> None:
    """Raises ``ConfigError`` for a suffix of no container, and a place where something else lies."""
    is_folder = container(path) in ("folder", "disk")
    if path.is_dir() and not is_folder:
        raise ConfigError(f"{path}: is a folder")
    above = next(parent for parent in path.absolute().parents if parent.exists())
    if not above.is_dir() or not os.access(above, os.W_OK):
        raise ConfigError(f"{path}: nothing can be written in {above}")
    if path.exists() and is_folder and not (path.is_dir() and (_is_ours(path) or not any(path.iterdir()))):
        raise ConfigError(f"{path}: is there and was not written by datagen; name a new folder")


def write(path: Path, rows: Iterable[tuple[str, Row]], columns: Mapping[str, Column]) -> Counter[str]:
    """Write rows, each with the name of its split; gives back how many there are of each.

    Only folders keep splits apart. An array is held in memory, all else is streamed.
    """
    kind, counts = container(path), Counter[str]()
    if kind == "lines":
        with path.open("wb") as file:
            for _, row in _counted(rows, counts):
                file.write(orjson.dumps(row) + b"\n")
    elif kind == "array":
        held = [row for _, row in _counted(rows, counts)]
        path.write_bytes(orjson.dumps(held, option=orjson.OPT_INDENT_2) + b"\n")
    elif kind == "parquet":
        _parquet(lambda _: path, (("", row) for _, row in _counted(rows, counts)), columns)
    else:
        _folder(path, _counted(rows, counts), columns, as_datasets=kind == "disk")
    return counts


def _folder(path: Path, rows: Iterable[tuple[str, Row]], columns: Mapping[str, Column], *, as_datasets: bool) -> None:
    with tempfile.TemporaryDirectory(dir=path.parent) as made:
        data = Path(made) / "data"
        data.mkdir()
        files = _parquet(partial(_file_of_split, data), rows, columns)
        if not files:
            return
        if path.is_dir():
            shutil.rmtree(path)
        if as_datasets:
            _save_to_disk(path, files)
        else:
            path.mkdir()
            data.rename(path / "data")
        (path / "README.md").write_text(f"{MARK}\n", encoding="utf-8")


def _file_of_split(folder: Path, split: str) -> Path:
    """As the hub names it. Raises ``ConfigError``."""
    if not _SPLIT.fullmatch(split):
        raise ConfigError(f"label split: {split!r} is no name for a split: letters, digits and _")
    return folder / f"{split}-00000-of-00001.parquet"


def _parquet(
    place: Callable[[str], Path], rows: Iterable[tuple[str, Row]], columns: Mapping[str, Column]
) -> dict[str, Path]:
    """A file for each split, where ``place`` says."""
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise ConfigError("Parquet needs pyarrow; install it with: pip install 'datagen[parquet]'") from error
    turn = pyarrow.struct({"role": pyarrow.string(), "content": pyarrow.string()})
    said = pyarrow.struct({"from": pyarrow.string(), "value": pyarrow.string()})
    answer = pyarrow.struct(dict.fromkeys(("content", "model", "scores", "notes"), pyarrow.string()))
    types: dict[Column, Any] = {"text": pyarrow.string(), "truth": pyarrow.bool_()}
    types |= {"texts": pyarrow.list_(pyarrow.string()), "turns": pyarrow.list_(turn)}
    types |= {"sharegpt": pyarrow.list_(said), "answers": pyarrow.list_(answer)}
    schema = pyarrow.schema([(name, types[column]) for name, column in columns.items()])
    files: dict[str, Path] = {}
    writers: dict[str, Any] = {}
    with ExitStack() as stack:
        for batch in _batches(rows):
            for split, held in batch.items():
                if split not in writers:
                    files[split] = place(split)
                    writers[split] = stack.enter_context(pyarrow.parquet.ParquetWriter(files[split], schema))
                writers[split].write_table(pyarrow.Table.from_pylist(held, schema))
    return files


def _batches(rows: Iterable[tuple[str, Row]]) -> Iterator[dict[str, list[Row]]]:
    remaining = iter(rows)
    while some := list(islice(remaining, _BATCH)):
        batch: dict[str, list[Row]] = {}
        for split, row in some:
            batch.setdefault(split, []).append(row)
        yield batch


def _save_to_disk(path: Path, files: Mapping[str, Path]) -> None:
    try:
        from datasets import Dataset, DatasetDict, disable_progress_bars
    except ImportError as error:
        raise ConfigError(f"{path}: needs datasets; install it with: pip install 'datagen[train]'") from error
    import pyarrow.parquet

    disable_progress_bars()
    DatasetDict({split: Dataset(pyarrow.parquet.read_table(file)) for split, file in files.items()}).save_to_disk(path)


def _counted(rows: Iterable[tuple[str, Row]], counts: Counter[str]) -> Iterator[tuple[str, Row]]:
    for split, row in rows:
        counts[split] += 1
        yield split, row


def _is_ours(folder: Path) -> bool:
    card = folder / "README.md"
    return card.is_file() and MARK in card.read_text(encoding="utf-8", errors="replace")
