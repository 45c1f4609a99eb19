"""Stages in order. A finished stage is skipped by its marker; a finished call is replayed from the journal.

Resume is replay: nothing else checkpoints, and the same command after ``kill -9`` runs the same code.
"""

from __future__ import annotations

import asyncio
import contextlib
import errno
import inspect
import resource
import time
from collections.abc import AsyncIterator, Iterable, Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

from datagen.aio import ordered_map
from datagen.config import Input, Node, Pipeline
from datagen.errors import LLMError, StageError
from datagen.llm import models
from datagen.llm.client import LLM
from datagen.llm.journal import Journal
from datagen.plugins import open_backend
from datagen.progress import Progress
from datagen.record import Record
from datagen.rng import derive
from datagen.store import Result, Store, Writer, read_result, write_result

_WINDOW_WITHOUT_LLM = 256


@dataclass(frozen=True)
class Outcome:
    """A finished run: where it lies, and each stage's result in order."""

    folder: Path
    results: dict[str, Result]
    folders: dict[str, Path]


def run(
    pipeline: Pipeline, *, root: Path = Path("runs"), progress: Progress | None = None, until: str | None = None
) -> Outcome:
    """Run a checked pipeline. Raises ``ConfigError``, ``DataError``, ``StageError``; what is done stays on disk."""
    store = Store(root, pipeline)
    with store.locked():
        store.save_resolved()
        return asyncio.run(_Run(store, progress or Progress.silent()).run(until))


class _Run:
    """One run: the open LLMs and the stages done so far."""

    def __init__(self, store: Store, progress: Progress) -> None:
        self.store = store
        self.pipeline = store.pipeline
        self.progress = progress
        self.journal: Journal | None = None
        self.open: dict[str, LLM] = {}

    async def run(self, until: str | None) -> Outcome:
        results: dict[str, Result] = {}
        try:
            for node in self.pipeline.nodes:
                results[node.name] = await self._stage(node)
                if node.name == until:
                    break
        finally:
            await self._close_llms()
            if self.journal is not None:
                self.journal.close()
        folders = {
            name: self.store.path(node) for name, node in ((n.name, n) for n in self.pipeline.nodes) if name in results
        }
        return Outcome(self.store.folder, results, folders)

    async def _stage(self, node: Node) -> Result:
        folder = self.store.path(node)
        if (folder / "stage.json").is_file():
            result = read_result(folder)
            self.progress.skipped(result)
            return result
        folder.mkdir(parents=True, exist_ok=True)
        started = time.monotonic()
        result = Result(node.name, node.stage.name, node.stage.shape, [_spelled(i) for i in node.inputs])
        try:
            await (self._job(node, folder, result) if node.stage.shape == "job" else self._rows(node, folder, result))
        except OSError as error:
            if error.errno in (errno.ENOSPC, errno.EDQUOT):
                raise StageError(
                    f"{node.name}: the disk is full; free some space and run the same command again"
                ) from error
            raise
        result.seconds = round(time.monotonic() - started, 3)
        result.peak_memory_mb = (
            max(resource.getrusage(who).ru_maxrss for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)) // 1024
        )
        result.finished = datetime.now(UTC).isoformat(timespec="seconds")
        write_result(folder, result)
        self.progress.finished(result)
        return result

    async def _rows(self, node: Node, folder: Path, result: Result) -> None:
        arguments, llms = await self._arguments(node)
        before = [_counts(llm) for llm in llms]
        writer = Writer(folder)
        total = sum(len(self.store.rows(i)) for i in node.inputs)
        counted = _Counted()
        try:
            with self.progress.stage(node.name, total, writer, llms, counted):
                async for record in self._stream(node, arguments, counted):
                    writer.write(record)
            writer.close(sync=True)
        finally:
            with contextlib.suppress(OSError, ValueError):
                writer.close()
        result.read, result.kept, result.dropped = counted.read, writer.kept, writer.dropped
        result.reasons, result.parts = dict(writer.reasons.most_common()), dict(writer.parts)
        _add_usage(result, llms, before)
        if not writer.kept:
            raise StageError(_nothing_left(node, writer, folder))

    async def _stream(self, node: Node, arguments: dict[str, Any], counted: _Counted) -> AsyncIterator[Record]:
        stage = node.stage
        if stage.shape == "record":
            async for records in ordered_map(
                partial(self._one, node, arguments), counted.over(self._chained(node)), window=self._window()
            ):
                for record in records:
                    yield record
            return
        positional = (
            ()
            if stage.shape == "source"
            else (self._sources(node),)
            if stage.many
            else (counted.over(self._chained(node)),)
        )
        produced = stage.function(*positional, **arguments)
        if stage.shape == "loop":
            async for record in produced:
                yield record
            return
        for record in produced:
            yield record
            await _breathe(counted)

    async def _one(self, node: Node, arguments: dict[str, Any], record: Record) -> list[Record]:
        own = {
            name: derive(self.pipeline.seed, node.name, record.id)
            for name, p in node.stage.parameters.items()
            if p.kind == "rng"
        }
        try:
            records: list[Record] = await node.stage.function(record, **{**arguments, **own})
        except LLMError as error:
            return [record.drop(f"{node.stage.method}:{error.reason}", error=str(error), attempts=error.attempts)]
        return records

    async def _job(self, node: Node, folder: Path, result: Result) -> None:
        arguments, llms = await self._arguments(node)
        if not llms:
            await self._close_llms()
        before = [_counts(llm) for llm in llms]
        data = self._sources(node) if node.stage.many else _Chain([self.store.rows(i) for i in node.inputs])
        result.read = sum(len(self.store.rows(i)) for i in node.inputs)
        with self.progress.stage(node.name, result.read, None, llms, None):
            produced = node.stage.function(data, folder, **arguments)
            result.metrics = await produced if inspect.isawaitable(produced) else produced
        _add_usage(result, llms, before)

    async def _arguments(self, node: Node) -> tuple[dict[str, Any], list[LLM]]:
        """The arguments as the function wants them: LLMs opened, references resolved."""
        arguments: dict[str, Any] = {}
        llms = []
        for parameter in node.stage.parameters.values():
            value = node.arguments.get(parameter.name)
            if parameter.kind == "rng":
                value = derive(self.pipeline.seed, node.name)
            elif value is not None and parameter.kind == "llm":
                value = self._llm(value)
                llms.append(value)
            elif value is not None and parameter.kind == "rows":
                value = self.store.rows(value)
            elif value is not None and parameter.kind == "path":
                value = Path(value)
            elif value is not None and parameter.kind == "model":
                value = models.resolve(self.store.model(value))
            arguments[parameter.name] = value
        return arguments, llms

    def _llm(self, name: str) -> LLM:
        if name not in self.open:
            entry = self.pipeline.llms[name]
            arguments = dict(entry.arguments)
            if isinstance(arguments.get("model"), str):
                arguments["model"] = self.store.model(arguments["model"])
            self.journal = self.journal or Journal(self.store.root / "journal.sqlite")
            backend = open_backend(entry.use, arguments)
            backend.model = str(entry.arguments.get("model") or backend.model)
            self.open[name] = LLM(
                backend, self.journal, pack=entry.prompts, sampling=dict(entry.sampling), seed=self.pipeline.seed
            )
        return self.open[name]

    async def _close_llms(self) -> None:
        while self.open:
            await self.open.popitem()[1].close()

    def _window(self) -> int:
        return max((llm.window for llm in self.open.values()), default=_WINDOW_WITHOUT_LLM)

    def _chained(self, node: Node) -> _Chain:
        return _Chain([self.store.rows(i) for i in node.inputs])

    def _sources(self, node: Node) -> Mapping[str, Iterable[Record]]:
        return {_spelled(i): self.store.rows(i) for i in node.inputs}


class _Chain:
    """Several stored row sets, one after the other."""

    def __init__(self, parts: list[Any]) -> None:
        self.parts = parts

    def __iter__(self) -> Iterator[Record]:
        for part in self.parts:
            yield from part

    def __len__(self) -> int:
        return sum(len(part) for part in self.parts)


class _Counted:
    """Counts the rows that a stage has taken."""

    def __init__(self) -> None:
        self.read = 0
        self.yielded = 0

    def over(self, records: Iterable[Record]) -> Iterator[Record]:
        for record in records:
            self.read += 1
            yield record


async def _breathe(counted: _Counted) -> None:
    """Let the event loop run now and then, so that Ctrl-C is heard in a stage that never waits."""
    counted.yielded += 1
    if counted.yielded % 256 == 0:
        await asyncio.sleep(0)


def _spelled(given: Input) -> str:
    return f"{given.stage}.{given.part}" if given.part else given.stage


def _counts(llm: LLM) -> tuple[int, int, int, int]:
    stats = llm.stats
    return stats.calls, stats.replayed, stats.prompt_tokens, stats.completion_tokens


def _add_usage(result: Result, llms: list[LLM], before: list[tuple[int, int, int, int]]) -> None:
    for llm, start in {id(llm): (llm, start) for llm, start in zip(llms, before, strict=True)}.values():
        calls, replayed, prompt, completion = (now - then for now, then in zip(_counts(llm), start, strict=True))
        result.calls += calls
        result.replayed += replayed
        result.prompt_tokens += prompt
        result.completion_tokens += completion


def _nothing_left(node: Node, writer: Writer, folder: Path) -> str:
    if not writer.dropped:
        return f"{node.name} ({node.stage.name}) made no rows"
    reason, count = writer.reasons.most_common(1)[0]
    return (
        f"{node.name} ({node.stage.name}) kept none of {writer.dropped} rows, most often {reason} ({count}); "
        f"see {folder / 'dropped.jsonl'}, change its settings and run again"
    )


def check(pipeline: Pipeline, root: Path) -> dict[str, bool]:
    """For each stage, whether a run would skip it. Raises ``ConfigError``."""
    store = Store(root, pipeline)
    return {node.name: (store.path(node) / "stage.json").is_file() for node in pipeline.nodes}


def preview(pipeline: Pipeline, n: int) -> Pipeline:
    """The same pipeline for ``n`` records, without its jobs: sources are cut short, generators asked for ``n``."""
    nodes = []
    for node in pipeline.nodes:
        if node.stage.shape == "job":
            continue
        fewer = {"limit": n} if node.stage.shape == "source" and "limit" in node.stage.parameters else {}
        if isinstance(count := node.arguments.get("count"), int):
            fewer["count"] = min(count, n)
        nodes.append(replace(node, arguments={**node.arguments, **fewer}))
    return replace(pipeline, name=f"{pipeline.name}-preview", nodes=tuple(nodes))
