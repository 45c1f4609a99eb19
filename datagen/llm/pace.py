"""When a request may go: so many at once, the oldest first, and no faster than a provider's limits per minute."""

from __future__ import annotations

import asyncio
import time
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

    @property
    def taken(self) -> int:
        """How many slots are taken."""
        return self._count - self._free

    async def drain(self) -> None:
        """Cancel all that wait, and wait for those that have a slot."""
        self._empty = asyncio.get_running_loop().create_future()
        while self._waiting:
            heappop(self._waiting)[2].cancel()
        if self.taken:
            await self._empty


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
