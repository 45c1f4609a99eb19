"""What a run leaves on disk.

    runs/journal.sqlite                 every reply ever paid for, shared by all runs below
    runs/<pipeline>/pipeline.yaml       the resolved file
    runs/<pipeline>/run.json            stage -> folder, in order
    runs/<pipeline>/<stage>-<key>/      rows.jsonl, dropped.jsonl, replies.jsonl (which replies a row was made from),
                                        part-NAME.jsonl (further row sets), what the stage itself writes, stage.json

``stage.json`` is the marker: it is written last, atomically, and a folder without it is unfinished.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import json
import os
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import msgspec
import yaml

from datagen.blocks import Verdict
from datagen.errors import ConfigError, StageError
from datagen.keys import Keys
from datagen.pipeline import Input, Node, Pipeline
from datagen.record import Record, blocks_of_lines, decode_lines, encode, read_records
from datagen.stage import Blocks
from datagen.text.diversity import Diversity

MARKER, ROWS, DROPPED, REPLIES = "stage.json", "rows.jsonl", "dropped.jsonl", "replies.jsonl"
_FULL = {errno.ENOSPC, errno.EDQUOT, errno.EFBIG}


@dataclass
class Result:
    """What a finished stage says about itself: the content of ``stage.json``."""

    name: str
    use: str
    shape: str
    inputs: list[str]
    read: int = 0
    kept: int = 0
    dropped: int = 0
    reasons: dict[str, int] = field(default_factory=dict)
    parts: dict[str, int] = field(default_factory=dict)
    calls: int = 0
    replayed: int = 0
    prompt_tokens: int = 0
    completion_tokens: int = 0
    usd: float = 0.0
    seen_prompt_tokens: int = 0
    seen_completion_tokens: int = 0
    seen_squares: int = 0
    seen_usd: float = 0.0
    call_seconds: float = 0.0
    seconds: float = 0.0
    peak_memory_mb: int = 0
    finished: str = ""
    prompts: dict[str, str] = field(default_factory=dict)
    """The prompt files that it could ask with, by their place in their pack, and the digest of each."""
    diversity: Diversity | None = None
    """Of what a generation stage kept."""
    metrics: dict[str, Any] = field(default_factory=dict)


class Replies(msgspec.Struct, frozen=True):
    """A row's id, and the journal's keys (hex) of the replies that it was made from, in the order of asking."""

    id: str
    replies: Sequence[str]


class StoredRows:
    """Rows on disk; ``part`` is a row set beside them, or those of them whose label ``split`` has that value."""

    def __init__(self, folder: Path, part: str = "") -> None:
        result = read_result(folder)
        beside = folder / part_file(part)
        self._path = beside if beside.is_file() else folder / ROWS
        self._label = "" if beside.is_file() else part
        self._length = result.parts.get(part, 0) if part else result.kept
        if part and part not in result.parts:
            raise ConfigError(
                f"{result.name}.{part}: {result.name} has no such part; it has: {', '.join(result.parts) or 'none'}"
            )

    def __iter__(self) -> Iterator[Record]:
        for record in read_records(self._path):
            if not self._label or record.labels.get("split") == self._label:
                yield record

    def __len__(self) -> int:
        return self._length

    def in_blocks(self) -> Blocks:
        """All rows, whatever the part, a block of lines at a time, with the number of its first."""
        return Blocks(_blocks(self._path), partial(_read_block, self._path))


def _blocks(path: Path) -> Iterator[tuple[int, bytes]]:
    with path.open("rb") as file:
        yield from blocks_of_lines(file)


def _read_block(path: Path, block: tuple[int, bytes]) -> list[Record]:
    first, lines = block
    return list(decode_lines(lines.split(b"\n"), path, first))


def part_file(part: str) -> str:
    """The file of a row set that a stage makes beside its rows."""
    return f"part-{part}.jsonl"


class Writer:
    """Streams the rows of one stage to disk, kept apart from dropped, and counts the reasons.

    The journal's keys of the replies that a row was made from stand beside the rows, so that rows stay lean.
    """

    def __init__(self, folder: Path) -> None:
        self.kept = 0
        self.dropped = 0
        self.reasons: Counter[str] = Counter()
        self.errors: dict[str, str] = {}
        """The first error of each reason that came with one."""
        self.parts: Counter[str] = Counter()
        self._folder = folder
        for left in folder.glob(part_file("*")):  # by a run that was killed
            left.unlink()
        self._beside: dict[str, BinaryIO] = {}
        self._rows = (folder / ROWS).open("wb", buffering=2**18)
        self._drops = (folder / DROPPED).open("wb", buffering=2**16)
        self._replies = (folder / REPLIES).open("wb", buffering=2**16)

    def write(self, record: Record, calls: Sequence[str] = ()) -> None:
        """Append one row to the file it belongs to, and the keys of its replies to theirs."""
        line = encode(record) + b"\n"
        if calls:
            self._replies.write(msgspec.json.encode(Replies(record.id, calls)) + b"\n")
        if record.dropped is not None:
            self._drops.write(line)
            self.dropped += 1
            self.reasons[record.dropped.reason] += 1
            if error := record.dropped.evidence.get("error"):
                self.errors.setdefault(record.dropped.reason, str(error))
            return
        self._rows.write(line)
        self.kept += 1
        if isinstance(part := record.labels.get("split"), str):
            self.parts[part] += 1

    def put(self, part: str, record: Record) -> None:
        """Append one row to a row set beside the rows."""
        if part not in self._beside:
            self._beside[part] = (self._folder / part_file(part)).open("wb", buffering=2**16)
        self._beside[part].write(encode(record) + b"\n")
        self.parts[part] += 1

    def extend(self, lines: Sequence[bytes], verdict: Verdict) -> None:
        """Append the rows of a block: the kept ones, and what the verdict says of the others."""
        for file, some in ((self._rows, lines), (self._drops, verdict.dropped)):
            if some:
                file.write(b"\n".join(some) + b"\n")
        self.kept += verdict.kept
        self.dropped += len(verdict.dropped)
        self.reasons.update(verdict.reasons)
        self.errors = {**verdict.errors, **self.errors}
        self.parts.update(verdict.parts)

    def sync(self) -> None:
        """All files are on the disk when this returns."""
        for file in self._files():
            file.flush()
            os.fsync(file.fileno())
        if not self._replies.tell():
            Path(self._replies.name).unlink()

    def close(self) -> None:
        """Close all files, whatever the disk says: without the marker they do not count."""
        for file in self._files():
            with contextlib.suppress(OSError):
                file.close()

    def _files(self) -> list[BinaryIO]:
        return [self._rows, self._drops, self._replies, *self._beside.values()]


class Store:
    """The folder of one pipeline's runs."""

    def __init__(self, root: Path, pipeline: Pipeline) -> None:
        self.root = root
        self.folder = root / pipeline.name
        self.pipeline = pipeline
        self._keys = Keys(pipeline)

    @contextlib.contextmanager
    def opened(self) -> Iterator[None]:
        """Hold the run's lock, with the resolved file saved: two runs of one pipeline would write the same files."""
        with disk(self.folder):
            self.folder.mkdir(parents=True, exist_ok=True)
            lock = (self.folder / ".lock").open("w")
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise ConfigError(
                    f"another run is writing {self.folder}; wait for it, or give this one another name=..."
                ) from error
            with disk(self.folder):
                self._save_resolved()
            yield

    def path(self, node: Node) -> Path:
        """The folder of a stage, whose key covers all that made it."""
        return self.folder / f"{node.name}-{self._keys.of(node)[:10]}"

    def rows(self, given: Input) -> StoredRows:
        """The rows that an input names."""
        node = self.pipeline.node(given.stage)
        assert node is not None, f"{given.stage} is a stage above"
        return StoredRows(self.path(node), given.part)

    def model(self, name: str) -> str:
        """The model folder of a stage, or the name itself (a path, a hub name, a shipped model)."""
        node = self.pipeline.node(name)
        return str(self.path(node) / "model") if node else name

    def is_done(self, node: Node) -> bool:
        """Whether a stage has its marker."""
        return (self.path(node) / MARKER).is_file()

    def _save_resolved(self) -> None:
        """Write the resolved pipeline and the index of stage folders."""
        resolved = msgspec.to_builtins(self.pipeline.resolved, enc_hook=str)
        text = yaml.safe_dump(resolved, sort_keys=False, allow_unicode=True, width=120)
        write_atomically(self.folder / "pipeline.yaml", text.encode())
        index = {
            "pipeline": self.pipeline.name,
            "seed": self.pipeline.seed,
            "stages": {n.name: self.path(n).name for n in self.pipeline.nodes},
        }
        write_atomically(self.folder / "run.json", json.dumps(index, indent=2).encode())


@contextlib.contextmanager
def disk(where: object) -> Iterator[None]:
    """What the operating system refuses (a full disk, a missing permission), as a ``StageError`` that names it."""
    try:
        yield
    except OSError as error:
        if error.errno in _FULL:
            raise StageError(
                f"{where}: the disk is full ({error.strerror}); free some space and run the same command again"
            ) from error
        raise StageError(f"{where}: {error}") from error


def read_result(folder: Path) -> Result:
    """The marker of a finished stage."""
    return msgspec.json.decode((folder / MARKER).read_bytes(), type=Result)


def write_result(folder: Path, result: Result) -> None:
    """Write the marker: the stage is finished."""
    write_atomically(folder / MARKER, msgspec.json.format(msgspec.json.encode(result), indent=2))


def write_atomically(path: Path, data: bytes) -> None:
    """Replace a file whole, or not at all; the caller holds the run's lock."""
    temporary = path.with_name(f".{path.name}.new")
    with temporary.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)
