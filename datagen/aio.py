"""Bounded concurrency that keeps order, and work that goes on in the background."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Iterable
from typing import Any, TypeVar

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


class Background:
    """Work that is started now and awaited later; leaving the ``async with`` block cancels what still runs."""

    def __init__(self) -> None:
        self._under_way: set[asyncio.Task[Any]] = set()

    async def __aenter__(self) -> Background:
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._under_way:
            task.cancel()
        await asyncio.gather(*self._under_way, return_exceptions=True)

    def start(self, work: Coroutine[Any, Any, R]) -> asyncio.Task[R]:
        """The task of ``work``; whoever awaits it gets its result or its error."""
        task = asyncio.ensure_future(work)
        self._under_way.add(task)
        task.add_done_callback(self._forget)
        return task

    def _forget(self, task: asyncio.Task[Any]) -> None:
        if task.cancelled() or task.exception() is None:  # an error stays until the end, so that it is never unheard
            self._under_way.discard(task)
