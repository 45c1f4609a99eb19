"""What a stage that makes rows found out besides them: kept in its ``stage.json``, printed by ``datagen show``.

A stage called by itself, without a run, may report as well: nobody listens then.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from typing import Any

_heard: ContextVar[dict[str, Any] | None] = ContextVar("_heard", default=None)


@contextmanager
def collecting() -> Iterator[dict[str, Any]]:
    """What is reported while this is open."""
    heard: dict[str, Any] = {}
    token = _heard.set(heard)
    try:
        yield heard
    finally:
        _heard.reset(token)


def report(found: Mapping[str, Any]) -> None:
    """Numbers and texts by name; a mapping of them is a line of a table."""
    if (heard := _heard.get()) is not None:
        heard.update(found)
