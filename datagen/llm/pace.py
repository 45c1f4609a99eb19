"""When a request may go: so many at once, the oldest first, and no faster than a provider's limits per minute."""

from __future__ import annotations

import asyncio
import time
from heapq import heappop, heappush
from itertools import count


class Slots:
    """At most ``free`` requests at once. Of those that wait, the one with the lowest ticket goes first.

    So a request that comes back for another try is not behind all that are newer: its record may be what a whole stage
    waits for.
    """

    def __init__(self, free: int) -> None:
        self._free = free
        self._waiting: list[tuple[int, int, asyncio.Future[None]]] = []
        self._arrivals = count()

    async def take(self, ticket: int) -> None:
        """Wait for a slot; who has one must ``give`` it back."""
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
