"""Stages in order. A finished stage is skipped by its marker; a finished call is replayed from the journal.

Resume is replay: nothing else checkpoints, and the same command after ``kill -9`` runs the same code.
"""

from __future__ import annotations

import asyncio
import contextlib
import inspect
import time
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from datagen import aside, findings
from datagen.aio import ordered_map
from datagen.binding import Binding
from datagen.errors import DatagenError, LLMError, StageError
from datagen.failures import settled
from datagen.feed import Chain, Input, Taken
from datagen.finishing import blank, count, finish, interruptible
from datagen.keys import prompts_of
from datagen.llm import trail
from datagen.llm.client import LLM
from datagen.memory import forget_peak, peak_mb, seldom_searched
from datagen.onepass import next_stages, run_together
from datagen.pipeline import Node, Pipeline
from datagen.progress import Done, Progress
from datagen.record import Record, read_records
from datagen.rng import derive
from datagen.store import ROWS, Result, Store, Writer, disk, read_result
from datagen.text.diversity import measure

_WINDOW_WITHOUT_LLM = 256
# What a stage's result takes over from the stats of its LLMs, under the same name.
_COUNTED = (
    "calls",
    "replayed",
    "prompt_tokens",
    "completion_tokens",
    "usd",
    "seen_prompt_tokens",
    "seen_completion_tokens",
    "seen_squares",
    "seen_usd",
    "call_seconds",
)


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
    return asyncio.run(run_async(pipeline, root=root, progress=progress, until=until))


async def run_async(
    pipeline: Pipeline, *, root: Path = Path("runs"), progress: Progress | None = None, until: str | None = None
) -> Outcome:
    """``run`` inside an event loop."""
    store = Store(root, pipeline)
    with store.opened(), seldom_searched():
        return await _Run(store, progress or Progress.silent()).run(until)


class _Run:
    """One run: the open LLMs and the stages done so far."""

    def __init__(self, store: Store, progress: Progress) -> None:
        self.store = store
        self.seed = store.pipeline.seed
        self.progress = progress
        self.binding = Binding(store)

    async def run(self, until: str | None) -> Outcome:
        outcome = Outcome(self.store.folder, {}, {})
        names = [node.name for node in self.store.pipeline.nodes]
        waiting = deque(self.store.pipeline.nodes[: names.index(until) + 1 if until in names else None])
        try:
            self.binding.check_ready(waiting)
            while waiting:
                group, blocks = next_stages(waiting, self.store, self.binding.arguments)
                if blocks is None:
                    results = [await self._stage(group[0])]
                else:
                    results = run_together(group, blocks, self.store, self.binding.arguments, self.progress)
                for node, result in zip(group, results, strict=True):
                    outcome.results[node.name] = result
                    outcome.folders[node.name] = self.store.path(node)
        finally:
            await self.binding.close()
        return outcome

    async def _stage(self, node: Node) -> Result:
        folder = self.store.path(node)
        if self.store.is_done(node):
            result = read_result(folder)
            self.progress.skipped(result)
            return result
        result = blank(node)
        result.prompts = {one.place: one.digest for one in prompts_of(node, self.store.pipeline.llms)}
        started = time.monotonic()
        forget_peak()
        taken = Taken()
        with disk(node.name), _named(node, taken), interruptible(node):
            folder.mkdir(parents=True, exist_ok=True)
            await (self._job if node.stage.shape == "job" else self._rows)(node, folder, result, taken)
            peak = max(peak_mb(), int(result.metrics.get("peak_memory_mb", 0)))  # a job's own process
            finish(result, folder, self.progress, seconds=time.monotonic() - started, peak_memory_mb=peak)
        return result

    async def _rows(self, node: Node, folder: Path, result: Result, taken: Taken) -> None:
        inputs = self._inputs(node, taken)
        arguments, llms = self.binding.arguments(node), self.binding.llms(node)
        before = [_counts(llm) for llm in llms]
        writer = Writer(folder)
        try:
            total, done = _aim(node, sum(map(len, inputs.values())), writer, taken)
            with (
                self.progress.stage(node.name, total, done, writer, llms),
                findings.collecting() as result.metrics,
                aside.collecting(writer.put),
            ):
                async with aclosing(self._stream(node, inputs, arguments, llms, taken)) as stream:
                    async for record, calls in stream:
                        writer.write(settled(record, node.on_failure, node.name), calls)
            writer.sync()
        finally:
            writer.close()
        result.read = taken.read
        _add_usage(result, llms, before)
        count(node, result, writer, folder)
        if node.stage.name.startswith("generators."):
            result.diversity = measure(partial(read_records, folder / ROWS), writer.kept)

    async def _stream(
        self, node: Node, inputs: Mapping[str, Input], arguments: dict[str, Any], llms: list[LLM], taken: Taken
    ) -> AsyncGenerator[tuple[Record, Sequence[str]], None]:
        """The rows of a stage, each with the keys of the replies that it was made from, where they are known."""
        stage, records = node.stage, Chain(inputs)
        if stage.shape == "record":
            window = max((llm.window for llm in llms), default=_WINDOW_WITHOUT_LLM)
            async with aclosing(
                ordered_map(self._per_record(node, arguments, taken), records, window=window)
            ) as results:
                async for made, calls in results:
                    for record in made:
                        yield record, calls
            return
        positional = () if stage.shape == "source" else (inputs if stage.many else iter(records),)
        produced = stage.function(*positional, **arguments)
        if stage.shape == "loop":
            with trail.collecting() as links:
                async with aclosing(produced):
                    async for record in produced:
                        yield record, links.pop(record.id, ()) if links else ()
            return
        for record in produced:
            yield record, ()

    def _per_record(
        self, node: Node, arguments: dict[str, Any], taken: Taken
    ) -> Callable[[Record], Awaitable[tuple[list[Record], list[str]]]]:
        """The stage's function on one record: what it made, and the keys of the replies that it asked for."""
        function = node.stage.function
        own = [name for name, parameter in node.stage.parameters.items() if parameter.kind == "rng"]

        async def one(record: Record) -> tuple[list[Record], list[str]]:
            rngs = {name: derive(self.seed, node.name, record.id) for name in own}
            with trail.following() as calls:
                try:
                    made: list[Record] = await function(record, **{**arguments, **rngs})
                except LLMError as error:
                    made = [record.drop(f"{node.stage.method}:{error.reason}", **error.evidence)]
                except DatagenError:
                    raise
                except Exception as error:
                    error.add_note(f"while it worked on record {record.id}: {record.instruction[:200]!r}")
                    raise
            taken.done += 1
            return made, calls

        return one

    async def _job(self, node: Node, folder: Path, result: Result, taken: Taken) -> None:
        if not node.given("llm"):
            await self.binding.close_llms()  # a training job gets the whole GPU
        inputs = self._inputs(node, taken)
        arguments, llms = self.binding.arguments(node), self.binding.llms(node)
        before = [_counts(llm) for llm in llms]
        result.read = sum(map(len, inputs.values()))
        with self.progress.stage(node.name, 0, None, None, llms):
            made = node.stage.function(inputs if node.stage.many else Chain(inputs), folder, **arguments)
            result.metrics = await made if inspect.isawaitable(made) else made
        _add_usage(result, llms, before)

    def _inputs(self, node: Node, taken: Taken) -> dict[str, Input]:
        return {str(one): Input(self.store.rows(one), taken) for one in node.inputs}


def _aim(node: Node, rows: int, writer: Writer, taken: Taken) -> tuple[int, Done]:
    """The number that a stage is on its way to, and how far it is: its ``count``, or the rows that it reads."""
    count = node.arguments.get("count")
    if node.stage.shape == "loop" and isinstance(count, int):
        return count, lambda: writer.kept
    if node.stage.shape == "record":
        return rows, lambda: taken.done
    return rows, lambda: min(taken.read, writer.kept + writer.dropped)


@contextlib.contextmanager
def _named(node: Node, taken: Taken) -> Iterator[None]:
    """An error in a stage's code keeps its traceback and says which stage and row it met."""
    try:
        yield
    except LLMError as error:
        raise StageError(f"{node.name}: {error}") from error
    except (DatagenError, OSError):
        raise
    except Exception as error:
        last = f", after row {taken.read} ({taken.last.id})" if taken.last else ""
        error.add_note(f"in stage {node.name} ({node.stage.name}){last}; nothing that was paid for is lost")
        raise


def _counts(llm: LLM) -> dict[str, float]:
    return {name: getattr(llm.stats, name) for name in _COUNTED}


def _add_usage(result: Result, llms: list[LLM], before: list[dict[str, float]]) -> None:
    for llm, start in zip(llms, before, strict=True):
        for name, now in _counts(llm).items():
            setattr(result, name, getattr(result, name) + now - start[name])


def check(pipeline: Pipeline, root: Path) -> dict[str, bool]:
    """For each stage, whether a run would skip it. Raises ``ConfigError``."""
    store = Store(root, pipeline)
    return {node.name: store.is_done(node) for node in pipeline.nodes}
