"""What every stage that makes rows goes through: an interrupt that works, counts, the marker, a line that stays."""

from __future__ import annotations

import contextlib
import inspect
import signal
import threading
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

from datagen.errors import StageError
from datagen.pipeline import Node
from datagen.progress import Progress
from datagen.store import DROPPED, Result, Writer, write_result


def blank(node: Node) -> Result:
    """The result of a stage that has not begun."""
    return Result(node.name, node.stage.name, node.stage.shape, [str(one) for one in node.inputs])


def count(node: Node, result: Result, writer: Writer, folder: Path) -> None:
    """Put into the result what was written. Raises ``StageError`` where nothing was kept."""
    result.kept, result.dropped = writer.kept, writer.dropped
    result.reasons, result.parts = dict(writer.reasons.most_common()), dict(writer.parts)
    if not writer.kept:
        raise StageError(_nothing_left(node, writer, folder))


def finish(result: Result, folder: Path, progress: Progress, *, seconds: float, peak_memory_mb: int) -> None:
    """Write the marker and say so: all else of the stage is on the disk."""
    result.seconds, result.peak_memory_mb = round(seconds, 3), peak_memory_mb
    result.finished = datetime.now(UTC).isoformat(timespec="seconds")
    write_result(folder, result)
    progress.finished(result)


@contextlib.contextmanager
def interruptible(node: Node) -> Iterator[None]:
    """Ctrl-C stops a stage that never waits: asyncio's own handler would only take note until the next wait."""
    waits = inspect.iscoroutinefunction(node.stage.function) or inspect.isasyncgenfunction(node.stage.function)
    if waits or threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, previous)


def _nothing_left(node: Node, writer: Writer, folder: Path) -> str:
    if not writer.dropped:
        return f"{node.name} ({node.stage.name}) made no rows"
    reason, number = writer.reasons.most_common(1)[0]
    error = f": {writer.errors[reason]}" if reason in writer.errors else ""
    return (
        f"{node.name} ({node.stage.name}) kept none of {writer.dropped} rows, most often {reason} ({number}){error}; "
        f"see {folder / DROPPED}, change its settings and run again"
    )
