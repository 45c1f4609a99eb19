from __future__ import annotations

import asyncio
import time

from datagen.llm.pace import Pace, Slots


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
