"""Neighbours in a pipeline that need no LLM and judge each row alone, run in one pass over the rows.

What each of them leaves on disk is what it leaves when it runs by itself; only their markers come together, at the end.
"""

from __future__ import annotations

import contextlib
import time
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any

from datagen.blocks import Course, Filter, without
from datagen.feed import Taken
from datagen.finishing import blank, count, finish, interruptible
from datagen.memory import forget_peak, peak_mb
from datagen.pipeline import Node
from datagen.progress import Progress
from datagen.record import read_records
from datagen.stage import Blocks
from datagen.store import DROPPED, Result, Store, Writer, disk
from datagen.workers import judged

Arguments = Callable[[Node], dict[str, Any]]


def next_stages(waiting: deque[Node], store: Store, arguments: Arguments) -> tuple[list[Node], Blocks | None]:
    """Takes the stages to run next: those that go over rows together, with the blocks of these rows, or one alone."""
    group = [waiting.popleft()]
    blocks = None if store.is_done(group[0]) else _in_blocks(group[0], store, arguments)
    while blocks is not None and waiting and _goes_on(waiting[0], group[-1]) and not store.is_done(waiting[0]):
        group.append(waiting.popleft())
    return group, blocks


def run_together(
    group: Sequence[Node], blocks: Blocks, store: Store, arguments: Arguments, progress: Progress
) -> list[Result]:
    """Run a source and the filters after it, or such filters alone, in one pass over the rows."""
    started, taken, peaks = time.monotonic(), Taken(), dict[int, int]()
    folders, results = [store.path(node) for node in group], [blank(node) for node in group]
    forget_peak()
    with disk(group[0].name), interruptible(group[0]), contextlib.ExitStack() as stack:
        for folder in folders:
            folder.mkdir(parents=True, exist_ok=True)
        writers = [stack.enter_context(contextlib.closing(Writer(folder))) for folder in folders]
        total = sum(len(store.rows(one)) for one in group[0].inputs)
        title = group[0].name if len(group) == 1 else f"{group[0].name} to {group[-1].name}"
        with progress.stage(title, total, lambda: taken.read, writers[-1], []):
            seconds = _pass(_course(group, blocks, arguments), blocks, writers, results, taken, peaks)
        for writer in writers:
            writer.sync()
        if not group[0].inputs:
            blocks.ended(read_records(folders[0] / DROPPED))
        wall, peak = time.monotonic() - started, peak_mb() + sum(peaks.values())
        for node, result, writer, folder, share in zip(group, results, writers, folders, seconds, strict=True):
            count(node, result, writer, folder)
            finish(result, folder, progress, seconds=wall * share / (sum(seconds) or 1), peak_memory_mb=peak)
    return results


def _pass(
    course: Course,
    blocks: Blocks,
    writers: Sequence[Writer],
    results: Sequence[Result],
    taken: Taken,
    peaks: dict[int, int],
) -> list[float]:
    """Write what each stage makes of each block; gives back the seconds that each worked, in whatever process."""
    seconds = [0.0] * len(writers)
    with contextlib.closing(judged(course, blocks.blocks, peaks)) as found:
        for (_, lines), verdicts in found:
            rows = lines.split(b"\n")
            for at, (writer, verdict) in enumerate(zip(writers, verdicts, strict=True)):
                if verdict.lines is None:
                    rows = without(rows, verdict.cut) if verdict.cut else rows
                else:
                    rows = verdict.lines.split(b"\n") if verdict.kept else []
                writer.extend(rows, verdict)
                results[at].read += verdict.read
                seconds[at] += verdict.seconds
            taken.read = results[0].read
    return seconds


def _course(group: Sequence[Node], blocks: Blocks, arguments: Arguments) -> Course:
    filters = [Filter(node.name, node.stage.function, arguments(node)) for node in group if node.inputs]
    return Course(blocks.read, tuple(filters), makes_rows=not group[0].inputs)


def _in_blocks(node: Node, store: Store, arguments: Arguments) -> Blocks | None:
    if node.stage.shape == "source":
        with disk(node.name):
            return node.stage.in_blocks(arguments(node))
    return store.rows(node.inputs[0]).in_blocks() if _is_simple(node) else None


def _goes_on(node: Node, before: Node) -> bool:
    return _is_simple(node) and node.inputs[0].stage == before.name


def _is_simple(node: Node) -> bool:
    is_whole = len(node.inputs) == 1 and not node.inputs[0].part
    return node.stage.judges_each_alone and is_whole and node.on_failure == "drop"
