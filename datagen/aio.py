"""Bounded concurrency that keeps order."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterable
from typing import TypeVar

T = TypeVar("T")
R = TypeVar("R")


async def ordered_map(
    function: Callable[[T], Awaitable[R]], items: Iterable[T], *, window: int
) -> AsyncGenerator[R, None]:
    """``function`` over ``items``, results in input order, at most ``window`` items started and not yet yielded.

    A window several times the concurrency of what ``function`` waits for keeps that busy while one slow item is
    waited for. The first error, and closing the generator early (``contextlib.aclosing``), cancel all that still runs.
    """
    iterator = iter(items)
    pending: deque[asyncio.Future[R]] = deque()
    try:
        while True:
            while len(pending) < window:
                try:
                    item = next(iterator)
                except StopIteration:
                    break
                pending.append(asyncio.ensure_future(function(item)))
            if not pending:
                return
            yield await pending.popleft()
    finally:
        for task in pending:
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)
