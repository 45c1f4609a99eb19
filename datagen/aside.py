"""What a stage makes beside its rows: numbers about them for ``stage.json``, and further row sets of its own.

``note`` and ``put`` work from anywhere inside a stage. ``from: graded.random`` reads what the stage ``graded`` put
under ``random``. Where a stage function is called without a pipeline nobody listens, and nothing is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from datagen.record import Record


@dataclass(frozen=True)
class _Listener:
    put: Callable[[str, Record], None]
    metrics: dict[str, Any] = field(default_factory=dict)


_listener: ContextVar[_Listener | None] = ContextVar("listener", default=None)


@contextmanager
def collecting(put: Callable[[str, Record], None]) -> Iterator[dict[str, Any]]:
    """The metrics noted inside; ``put`` gets each further row with the name of its set."""
    listener = _Listener(put)
    token = _listener.set(listener)
    try:
        yield listener.metrics
    finally:
        _listener.reset(token)


def note(**metrics: Any) -> None:
    """Numbers, or tables of them by name, that ``datagen show`` prints."""
    if (listener := _listener.get()) is not None:
        listener.metrics.update(metrics)


def put(part: str, record: Record) -> None:
    """One row of the set ``part``."""
    if (listener := _listener.get()) is not None:
        listener.put(part, record)


def is_heard() -> bool:
    """Whether rows that are put aside go anywhere."""
    return _listener.get() is not None
