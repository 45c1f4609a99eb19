"""Which raw replies a row was made from: the journal's keys, collected while a stage works on it.

The runner follows per-record stages by itself. A loop stage asks in requests of its own, so it says which row came of
which: ``with following() as calls: reply = await llm.ask(...)``, then ``link(record, calls)``; ``of`` names a record
that it was made from inside the stage, such as a task that was then solved. Nothing of it is kept in the rows; the
store writes it beside them.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from contextvars import ContextVar

from datagen.record import Record

_calls: ContextVar[list[str] | None] = ContextVar("calls", default=None)
_links: ContextVar[dict[str, list[str]] | None] = ContextVar("links", default=None)


@contextmanager
def following() -> Iterator[list[str]]:
    """The keys (hex) of the requests made inside, also by tasks that are started there, in the order of asking."""
    calls: list[str] = []
    token = _calls.set(calls)
    try:
        yield calls
    finally:
        _calls.reset(token)


def asked(key: bytes) -> None:
    """Note one request."""
    if (calls := _calls.get()) is not None:
        calls.append(key.hex())


def link(record: Record, calls: Sequence[str], *, of: Record | None = None) -> Record:
    """The record itself, with the replies to these requests noted as what it was made from, after those of ``of``."""
    if (links := _links.get()) is not None:
        earlier = links.get(of.id, []) if of else []
        links.setdefault(record.id, []).extend([*earlier, *calls])
    return record


@contextmanager
def collecting() -> Iterator[dict[str, list[str]]]:
    """The links that are made inside: a record's id and its calls."""
    links: dict[str, list[str]] = {}
    token = _links.set(links)
    try:
        yield links
    finally:
        _links.reset(token)
