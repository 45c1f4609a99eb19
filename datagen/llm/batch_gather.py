"""Requests that wait for each other, so that they go into one file: until it is full, or until no more come."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass, field

from datagen.errors import LLMError, StageError

Lines = dict[bytes, bytes]
"""What goes into one file, by the journal's key."""


@dataclass(frozen=True)
class Sizes:
    """When a file is full, and how long nothing must have come for it to go although it is not."""

    max_requests: int
    max_bytes: int
    quiet_s: float


@dataclass
class _Waiting:
    gone: asyncio.Future[None]
    lines: Lines = field(default_factory=dict)
    size: int = 0
    last: float = 0.0


class Gather:
    """The file that is being filled on the running event loop; ``submit`` takes each that goes, at once."""

    def __init__(self, sizes: Sizes, submit: Callable[[Lines], None]) -> None:
        self._sizes = sizes
        self._submit = submit
        self._loop = asyncio.get_running_loop()
        self._waiting = _Waiting(self._loop.create_future())
        self._is_closed = False

    async def add(self, key: bytes, line: bytes) -> None:
        """Wait until the request went with the others. Raises ``LLMError`` ``too_large``, or what ``submit`` raises."""
        if len(line) > self._sizes.max_bytes:
            raise LLMError("too_large", f"a request of {len(line):,} bytes does not fit into a batch's file")
        if self._waiting.size + len(line) > self._sizes.max_bytes:
            self._go()
        waiting = self._waiting
        if not waiting.lines:
            self._loop.call_later(self._sizes.quiet_s, self._go_if_quiet, waiting)
        if key not in waiting.lines:
            waiting.lines[key] = line
            waiting.size += len(line)
        waiting.last = self._loop.time()
        if len(waiting.lines) >= self._sizes.max_requests:
            self._go()
        await asyncio.shield(waiting.gone)

    def close(self) -> None:
        """What was not submitted stays so."""
        self._is_closed = True

    def _go_if_quiet(self, waiting: _Waiting) -> None:
        if waiting is not self._waiting or self._is_closed:
            return
        left = waiting.last + self._sizes.quiet_s - self._loop.time()
        if left > 0:
            self._loop.call_later(left, self._go_if_quiet, waiting)
        else:
            self._go()

    def _go(self) -> None:
        full, self._waiting = self._waiting, _Waiting(self._loop.create_future())
        try:
            self._submit(full.lines)
        except StageError as error:
            full.gone.set_exception(error)
        else:
            full.gone.set_result(None)
