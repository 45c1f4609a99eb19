"""Bounded concurrency that keeps order, and work that goes on in the background."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Iterable
from itertools import islice
from typing import Any, Generic, TypeVar

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
    results: deque[asyncio.Future[R]] = deque()
    workers = _Workers(function)
    try:
        while True:
            for item in islice(iterator, window - len(results)):
                results.append(workers.take(item))
            if not results:
                return
            yield await results.popleft()
    finally:
        await workers.stop()
        for result in results:
            result.cancel()
        await asyncio.gather(*results, return_exceptions=True)


class _Workers(Generic[T, R]):
    """Tasks that work through one line of items: when one has to wait, another goes on in its place.

    So items that need not wait share a task, which would cost more than, say, a call that the journal answers.
    """

    def __init__(self, function: Callable[[T], Awaitable[R]]) -> None:
        self._function = function
        self._loop = asyncio.get_running_loop()
        self._line: deque[tuple[T, asyncio.Future[R]]] = deque()
        self._tasks: set[asyncio.Task[None]] = set()
        self._starting = 0

    def take(self, item: T) -> asyncio.Future[R]:
        """Queue an item; its result."""
        result: asyncio.Future[R] = self._loop.create_future()
        self._line.append((item, result))
        self._start()
        return result

    async def stop(self) -> None:
        """Cancel all that runs."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _start(self) -> None:
        """Two a turn of the loop, as long as there are items in the line."""
        while self._starting < min(2, len(self._line)):
            self._starting += 1
            task = self._loop.create_task(self._work())
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

    async def _work(self) -> None:
        self._starting -= 1
        while self._line:
            item, result = self._line.popleft()
            self._start()
            try:
                value = await self._function(item)
            except asyncio.CancelledError:
                result.cancel()
                raise
            except BaseException as error:
                if not result.done():
                    result.set_exception(error)
                if not isinstance(error, Exception):
                    raise
            else:
                if not result.done():
                    result.set_result(value)


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
