"""When a request may go: so many at once, the oldest first, no faster than limits per minute or the server allow."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterator
from contextlib import contextmanager
from heapq import heappop, heappush
from itertools import count as counter


class Slots:
    """At most ``count`` requests at once. Of those that wait, the one with the lowest ticket goes first.

    So a request that comes back for another try is not behind all that are newer: its record may be what a whole stage
    waits for.
    """

    def __init__(self, count: int) -> None:
        self._count = self._free = count
        self._empty: asyncio.Future[None] | None = None
        self._waiting: list[tuple[int, int, asyncio.Future[None]]] = []
        self._arrivals = counter()
        self._unsent: set[asyncio.Task[object]] = set()

    async def take(self, ticket: int) -> None:
        """Wait for a slot; who has one must ``give`` it back. Who comes after ``drain`` is cancelled."""
        if self._empty is not None:
            raise asyncio.CancelledError
        if self._free:
            self._free -= 1
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        heappush(self._waiting, (ticket, next(self._arrivals), turn))
        try:
            await turn
        except asyncio.CancelledError:
            if not turn.cancelled():  # it was given the slot and cancelled at the same moment
                self.give()
            raise

    def give(self) -> None:
        """Hand the slot to the oldest that waits."""
        while self._waiting:
            turn = heappop(self._waiting)[2]
            if not turn.done():
                turn.set_result(None)
                return
        self._free += 1
        if self._empty is not None and self._free == self._count and not self._empty.done():
            self._empty.set_result(None)

    @contextmanager
    def unsent(self) -> Iterator[None]:
        """While this is open, this task's request has a slot and waits for something else: ``drain`` cancels it."""
        task = asyncio.current_task()
        assert task is not None, "a request is made in a task"
        self._unsent.add(task)
        try:
            yield
        finally:
            self._unsent.discard(task)

    @property
    def taken(self) -> int:
        """How many slots are taken."""
        return self._count - self._free

    async def drain(self) -> None:
        """Cancel all that wait, and wait for those that are sent."""
        self._empty = asyncio.get_running_loop().create_future()
        for task in self._unsent:
            task.cancel()
        while self._waiting:
            heappop(self._waiting)[2].cancel()
        if self.taken:
            await self._empty


_FEWEST_RESULTS = 16
_TRIES_PER_REPLY = 1.5
_FASTER = 1.25


class Throttle:
    """Slows down for a server that refuses (429) because of too many requests, not for one that refuses some by chance.

    A steady share of refusals stays whatever the pace, so it is no reason to slow down: each request waits for itself.
    But where more than half of the last results (a slot's worth, 16 at least) are refusals, tries are spaced evenly at
    1.5 times the rate of replies, and by a quarter closer after each stretch with less; once none is refused, no more.
    They are never further apart than ``concurrency`` in four times ``Retry-After``, so even a server that refuses most
    by chance is not left idle. Where nothing but refusals came, all wait until the last of them said.
    """

    def __init__(self, concurrency: int) -> None:
        self._concurrency = concurrency
        self._stretch = max(concurrency, _FEWEST_RESULTS)
        self._rate: float | None = None
        self._next = self._since = self._closed_until = 0.0
        self._replies = self._refusals = self._refusals_in_a_row = 0

    async def wait(self) -> None:
        """Sleep until another try may go."""
        while self._refusals_in_a_row >= self._stretch and (left := self._closed_until - time.monotonic()) > 0:
            await asyncio.sleep(left)
        if self._rate is not None:
            now = time.monotonic()
            at = max(now, self._next)
            self._next = at + 1 / self._rate
            await asyncio.sleep(at - now)

    def replied(self) -> None:
        """Count a reply."""
        self._refusals_in_a_row = 0
        self._replies += 1
        self._reckon(time.monotonic(), 0.0)

    def refused(self, retry_after_s: float) -> None:
        """Count a refusal."""
        now = time.monotonic()
        self._refusals_in_a_row += 1
        self._closed_until = now + retry_after_s
        self._refusals += 1
        self._reckon(now, retry_after_s)

    def _reckon(self, now: float, retry_after_s: float) -> None:
        """At the end of a stretch: how fast tries may go in the next."""
        results = self._replies + self._refusals
        if results == 1:
            self._since = now
        if results < self._stretch:
            return
        if not self._replies:
            self._rate = None  # closed
        elif self._refusals > self._replies:
            least = self._concurrency / (4 * max(retry_after_s, 1.0))
            self._rate = max(least, _TRIES_PER_REPLY * self._replies / max(now - self._since, 0.001))
        elif self._rate is not None:
            self._rate = self._rate * _FASTER if self._refusals else None
        self._replies = self._refusals = 0


class Pace:
    """Spaces requests evenly, so that neither limit per minute is met; ``None`` is no limit."""

    def __init__(self, requests_per_minute: float | None, tokens_per_minute: float | None) -> None:
        self._request_s = 60 / requests_per_minute if requests_per_minute else 0.0
        self._token_s = 60 / tokens_per_minute if tokens_per_minute else 0.0
        self._request_at = self._token_at = 0.0

    async def wait(self, tokens: int) -> None:
        """Sleep until a request of about so many tokens may go."""
        if not self._request_s and not self._token_s:
            return
        now = time.monotonic()
        at = max(now, self._request_at, self._token_at)
        self._request_at = at + self._request_s
        self._token_at = at + self._token_s * tokens
        await asyncio.sleep(at - now)

    def correct(self, expected: int, used: int) -> None:
        """Count the tokens that a request really used instead of those that were expected."""
        self._token_at += self._token_s * (used - expected)
