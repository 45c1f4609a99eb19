from __future__ import annotations

import asyncio
from collections.abc import Iterator
from contextlib import aclosing

import pytest

from datagen.aio import Background, ordered_map


async def test_results_come_in_input_order_whatever_takes_long() -> None:
    async def slow(n: int) -> int:
        await asyncio.sleep((n * 7 % 10) / 2000)
        return n

    assert [n async for n in ordered_map(slow, range(50), window=8)] == list(range(50))


async def test_at_most_a_window_of_items_is_under_way() -> None:
    taken = 0

    def items() -> Iterator[int]:
        nonlocal taken
        for n in range(100):
            taken += 1
            yield n

    async def work(n: int) -> int:
        await asyncio.sleep(0)
        return n

    async for n in ordered_map(work, items(), window=5):
        assert taken <= n + 1 + 5


async def test_nothing_in_gives_nothing() -> None:
    assert [n async for n in ordered_map(asyncio.sleep, [], window=4)] == []


async def test_an_error_cancels_what_still_runs() -> None:
    ended: list[int] = []

    async def work(n: int) -> int:
        try:
            if n == 0:
                raise ValueError("first")
            await asyncio.sleep(60)
        finally:
            ended.append(n)
        return n

    with pytest.raises(ValueError, match="first"):
        _ = [n async for n in ordered_map(work, range(5), window=5)]
    assert sorted(ended) == [0, 1, 2, 3, 4] or ended == [0]


async def test_a_consumer_that_stops_early_leaves_nothing_running() -> None:
    async def work(n: int) -> int:
        await asyncio.sleep(60 if n else 0)
        return n

    async with aclosing(ordered_map(work, range(5), window=5)) as results:
        async for _ in results:
            break
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_work_in_the_background_goes_on_before_it_is_awaited() -> None:
    done: list[int] = []

    async def work(n: int) -> int:
        done.append(n)
        return n

    async with Background() as background:
        started = [background.start(work(n)) for n in range(3)]
        await asyncio.sleep(0)
        assert done == [0, 1, 2]
        assert [await one for one in started] == [0, 1, 2]


async def test_leaving_cancels_what_still_runs_and_lets_no_error_go_unheard() -> None:
    async def fail() -> None:
        raise ValueError("unheard")

    async with Background() as background:
        endless, failed = background.start(asyncio.sleep(3600)), background.start(fail())
        await asyncio.sleep(0)
    assert endless.cancelled()
    assert isinstance(failed.exception(), ValueError)
