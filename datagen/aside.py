"""Row sets that a stage makes beside its rows: ``from: graded.random`` reads what ``graded`` put under ``random``.

Where a stage function is called without a pipeline nobody listens, and nothing is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from datagen.record import Record

Put = Callable[[str, Record], None]
_put: ContextVar[Put | None] = ContextVar("_put", default=None)


@contextmanager
def collecting(put: Put) -> Iterator[None]:
    """``put`` gets each row that is put aside while this is open, with the name of its set."""
    token = _put.set(put)
    try:
        yield
    finally:
        _put.reset(token)


def put(part: str, record: Record) -> None:
    """One row of the set ``part``."""
    if (listener := _put.get()) is not None:
        listener(part, record)


def is_heard() -> bool:
    """Whether rows that are put aside go anywhere."""
    return _put.get() is not None
