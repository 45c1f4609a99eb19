"""What a run leaves on disk.

    runs/journal.sqlite                 every reply ever paid for, shared by all runs below
    runs/<pipeline>/pipeline.yaml       the resolved file
    runs/<pipeline>/run.json            stage -> folder, in order
    runs/<pipeline>/<stage>-<key>/      rows.jsonl, dropped.jsonl, what the stage itself writes, and stage.json

A folder's key covers all that made it, so a changed setting never reuses old rows. ``stage.json`` is the marker: it is
written last, atomically, and a folder without it is unfinished.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import inspect
import json
import os
from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import yaml

from datagen import prompts
from datagen.config import Entry, Input, Node, Pipeline
from datagen.errors import ConfigError
from datagen.llm import models
from datagen.plugins import load_backend, parameters
from datagen.record import Record, encode, read_records

MARKER, ROWS, DROPPED = "stage.json", "rows.jsonl", "dropped.jsonl"
# How a back end is run, not what it answers.
_OPERATIONAL = {
    "concurrency",
    "timeout_s",
    "max_attempts",
    "threads",
    "api_key_env",
    "headers",
    "max_batch_tokens",
    "latency_s",
}
_WHOLE_FILE_BYTES = 64 * 2**20


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
    seconds: float = 0.0
    peak_memory_mb: int = 0
    finished: str = ""
    metrics: dict[str, Any] = field(default_factory=dict)


class StoredRows:
    """Rows on disk; ``part`` keeps those whose label ``split`` has that value."""

    def __init__(self, folder: Path, part: str = "", limit: int | None = None) -> None:
        result = read_result(folder)
        self._path = folder / ROWS
        self._part = part
        self._limit = limit
        self._length = result.parts.get(part, 0) if part else result.kept
        if part and part not in result.parts:
            raise ConfigError(
                f"{result.name}.{part}: {result.name} has no such part; it has: {', '.join(result.parts) or 'none'}"
            )

    def __iter__(self) -> Iterator[Record]:
        for record in read_records(self._path):
            if not self._part or record.labels.get("split") == self._part:
                yield record

    def __len__(self) -> int:
        return self._length


class Writer:
    """Streams the rows of one stage to disk, kept apart from dropped, and counts the reasons."""

    def __init__(self, folder: Path) -> None:
        self.kept = 0
        self.dropped = 0
        self.reasons: Counter[str] = Counter()
        self.parts: Counter[str] = Counter()
        self._rows = (folder / ROWS).open("wb", buffering=2**18)
        self._drops = (folder / DROPPED).open("wb", buffering=2**16)

    def write(self, record: Record) -> None:
        """Append one row to the file it belongs to."""
        if record.dropped is not None:
            self.dropped += 1
            self.reasons[record.dropped.reason] += 1
            self._drops.write(encode(record) + b"\n")
            return
        self.kept += 1
        if isinstance(part := record.labels.get("split"), str):
            self.parts[part] += 1
        self._rows.write(encode(record) + b"\n")

    def close(self, *, sync: bool = False) -> None:
        """Close both files; with ``sync`` they are on the disk when this returns."""
        for file in (self._rows, self._drops):
            file.flush()
            if sync:
                os.fsync(file.fileno())
            file.close()


class Store:
    """The folder of one pipeline's runs."""

    def __init__(self, root: Path, pipeline: Pipeline) -> None:
        self.root = root
        self.folder = root / pipeline.name
        self.pipeline = pipeline
        self.keys: dict[str, str] = {}
        self.folder.mkdir(parents=True, exist_ok=True)

    @contextlib.contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the run's lock: two runs of one pipeline would write the same files."""
        with (self.folder / ".lock").open("w") as file:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError as error:
                raise ConfigError(
                    f"another run is writing {self.folder}; wait for it, or give this one another name=..."
                ) from error
            yield

    def path(self, node: Node) -> Path:
        """The folder of a stage, whose key covers all that made it."""
        return self.folder / f"{node.name}-{self.key(node)[:10]}"

    def key(self, node: Node) -> str:
        """Hash of a stage's code, arguments, prompts, LLMs, seed and inputs; needs the keys of the stages above."""
        if node.name not in self.keys:
            source = Path(inspect.getsourcefile(inspect.unwrap(node.stage.function)) or "")
            made_of = {
                "name": node.name,
                "use": node.stage.name,
                "code": _file_digest(source),
                "seed": self.pipeline.seed,
                "inputs": [self._input_key(i) for i in node.inputs],
                "arguments": {
                    p.name: self._argument_key(node, p.name, p.kind)
                    for p in node.stage.parameters.values()
                    if p.kind != "rng"
                },
            }
            self.keys[node.name] = hashlib.sha256(json.dumps(made_of, sort_keys=True).encode()).hexdigest()
        return self.keys[node.name]

    def rows(self, given: Input) -> StoredRows:
        """The rows that an input names."""
        return StoredRows(self.path(self._node(given.stage)), given.part)

    def model(self, name: str) -> str:
        """The model folder of a stage, or the name itself (a path, a hub name, a shipped model)."""
        node = next((n for n in self.pipeline.nodes if n.name == name), None)
        return str(self.path(node) / "model") if node else name

    def save_resolved(self) -> None:
        """Write the resolved pipeline and the index of stage folders."""
        text = yaml.safe_dump(self.pipeline.resolved, sort_keys=False, allow_unicode=True, width=120)
        write_atomically(self.folder / "pipeline.yaml", text.encode())
        index = {
            "pipeline": self.pipeline.name,
            "seed": self.pipeline.seed,
            "stages": {n.name: self.path(n).name for n in self.pipeline.nodes},
        }
        write_atomically(self.folder / "run.json", json.dumps(index, indent=2).encode())

    def _node(self, name: str) -> Node:
        return next(node for node in self.pipeline.nodes if node.name == name)

    def _input_key(self, given: Input) -> str:
        return f"{self.key(self._node(given.stage))}.{given.part}"

    def _argument_key(self, node: Node, name: str, kind: str) -> Any:
        value = node.arguments.get(name)
        if value is None:
            return None
        if kind == "llm":
            return self._entry_key(self.pipeline.llms[value])
        if kind == "rows":
            return self._input_key(value)
        if kind == "path":
            return _file_digest(Path(value))
        if kind == "model":
            return self._model_key(value)
        if kind == "prompt":
            packs = {
                self.pipeline.llms[node.arguments[p.name]].prompts
                for p in node.stage.parameters.values()
                if p.kind == "llm" and node.arguments.get(p.name)
            }
            return sorted(prompts.load(value, pack).digest for pack in packs or {""})
        return value

    def _entry_key(self, entry: Entry) -> Any:
        kinds = parameters(load_backend(entry.use))
        arguments = {
            name: self._model_key(value)
            if name == "model"
            else _file_digest(Path(value))
            if kinds[name].kind == "path" and value
            else value
            for name, value in entry.arguments.items()
            if name not in _OPERATIONAL
        }
        return [entry.use, arguments, entry.prompts, dict(entry.sampling)]

    def _model_key(self, name: str) -> str:
        if any(node.name == name for node in self.pipeline.nodes):
            return self.key(self._node(name))
        folder = Path(models.resolve(name))
        return _folder_digest(folder) if folder.is_dir() else name


def read_result(folder: Path) -> Result:
    """The marker of a finished stage."""
    return msgspec.json.decode((folder / MARKER).read_bytes(), type=Result)


def write_result(folder: Path, result: Result) -> None:
    """Write the marker: the stage is finished."""
    write_atomically(folder / MARKER, msgspec.json.format(msgspec.json.encode(result), indent=2))


def write_atomically(path: Path, data: bytes) -> None:
    """Replace a file whole, or not at all."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    with temporary.open("wb") as file:
        file.write(data)
        file.flush()
        os.fsync(file.fileno())
    temporary.replace(path)


def _file_digest(path: Path) -> str:
    if path.is_dir():
        return _folder_digest(path)
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _folder_digest(folder: Path) -> str:
    """Content of all files; of those over 64 MB, size and modification time."""
    digest = hashlib.sha256()
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        status = path.stat()
        content = _file_digest(path) if status.st_size < _WHOLE_FILE_BYTES else f"{status.st_size}:{status.st_mtime_ns}"
        digest.update(f"{path.relative_to(folder)}\0{content}\0".encode())
    return digest.hexdigest()


def count_reasons(results: Iterable[Result]) -> Counter[str]:
    """Drop reasons over several stages."""
    total: Counter[str] = Counter()
    for result in results:
        total.update(result.reasons)
    return total
