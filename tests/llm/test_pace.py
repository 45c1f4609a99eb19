from __future__ import annotations

import asyncio
import selectors
import time
from types import SimpleNamespace

import pytest

from datagen.llm import pace as module
from datagen.llm.pace import Pace, Slots, Throttle


async def test_the_oldest_that_waits_goes_first() -> None:
    slots, order = Slots(1), []

    async def one(ticket: int) -> None:
        await slots.take(ticket)
        order.append(ticket)
        slots.give()

    await slots.take(0)
    waiting = [asyncio.ensure_future(one(ticket)) for ticket in (5, 3, 9, 1)]
    await asyncio.sleep(0)
    slots.give()
    await asyncio.gather(*waiting)
    assert order == [1, 3, 5, 9]


async def test_who_is_cancelled_while_waiting_or_just_as_its_turn_comes_takes_no_slot_with_it() -> None:
    slots = Slots(1)
    await slots.take(0)
    waiting, called = (asyncio.ensure_future(slots.take(ticket)) for ticket in (2, 1))
    await asyncio.sleep(0)
    waiting.cancel()
    slots.give()
    called.cancel()
    await asyncio.gather(waiting, called, return_exceptions=True)
    await asyncio.wait_for(slots.take(3), 1)


async def test_draining_turns_away_who_waits_and_waits_for_who_is_inside() -> None:
    slots = Slots(1)
    await slots.take(0)
    waiting = asyncio.ensure_future(slots.take(1))
    await asyncio.sleep(0)
    drained = asyncio.ensure_future(slots.drain())
    await asyncio.wait([waiting])
    assert (waiting.cancelled(), drained.done(), slots.taken) == (True, False, 1)
    late = asyncio.ensure_future(slots.take(2))
    slots.give()
    await drained
    await asyncio.wait([late])
    assert late.cancelled()


async def test_tokens_are_spaced_by_what_was_expected_and_then_by_what_was_used() -> None:
    pace = Pace(None, 60_000)  # a token a millisecond
    started = time.monotonic()
    await pace.wait(50)
    await pace.wait(50)
    assert time.monotonic() - started >= 0.05
    pace.correct(50, 150)
    await pace.wait(1)
    assert time.monotonic() - started >= 0.2


def goes_at_once(throttle: Throttle) -> bool:
    waiting = throttle.wait()
    try:
        waiting.send(None)
    except StopIteration:
        return True
    waiting.close()
    return False


def feed(throttle: Throttle, results: str) -> None:
    """``+`` is a reply, ``-`` a refusal."""
    for result in results:
        if result == "+":
            throttle.replied()
        else:
            throttle.refused(60.0)


def test_a_steady_share_of_refusals_slows_nothing_down() -> None:
    throttle = Throttle(20)
    feed(throttle, "+-+-+" * 100)
    assert goes_at_once(throttle)


async def test_a_server_that_refuses_most_is_asked_more_slowly_until_it_refuses_none() -> None:
    throttle = Throttle(20)
    feed(throttle, "+----" * 4)
    assert not goes_at_once(throttle)
    feed(throttle, "+++-+" * 4)
    assert not goes_at_once(throttle)
    feed(throttle, "+" * 20)
    assert goes_at_once(throttle)


async def test_all_wait_where_nothing_but_refusals_came_until_one_reply_comes() -> None:
    throttle = Throttle(20)
    feed(throttle, "-" * 19)
    assert goes_at_once(throttle)
    feed(throttle, "-")
    assert not goes_at_once(throttle)
    feed(throttle, "+")
    assert goes_at_once(throttle)


class Simulated(asyncio.SelectorEventLoop):
    """Its clock stands still while anything runs, and jumps to the next timer."""

    def __init__(self) -> None:
        self.now = 0.0
        selector = selectors.SelectSelector()
        ready = selector.select

        def select(timeout: float | None = None) -> list[tuple[selectors.SelectorKey, int]]:
            self.now += timeout or 0.0
            return ready(0)

        selector.select = select  # type: ignore[method-assign]
        super().__init__(selector)

    def time(self) -> float:
        return self.now


def test_a_server_that_takes_so_many_a_second_is_kept_busy_and_not_stormed(monkeypatch: pytest.MonkeyPatch) -> None:
    loop, throttle = Simulated(), Throttle(50)
    monkeypatch.setattr(module, "time", SimpleNamespace(monotonic=loop.time))
    a_second, retry_after_s, tries = 20, 1.0, 0
    allowed, since = float(a_second), 0.0

    async def one() -> None:
        nonlocal allowed, since, tries
        while True:
            await throttle.wait()
            tries += 1
            allowed, since = min(float(a_second), allowed + (loop.now - since) * a_second), loop.now
            if allowed >= 1:
                allowed -= 1
                await asyncio.sleep(0.2)
                return throttle.replied()
            await asyncio.sleep(0.001)
            throttle.refused(retry_after_s)
            await asyncio.sleep(retry_after_s)

    async def all_of_them() -> None:
        await asyncio.gather(*[one() for _ in range(600)])

    loop.run_until_complete(all_of_them())
    loop.close()
    assert loop.now < 1.2 * 600 / a_second
    assert tries < 4 * 600
