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
    started, ended = [], []

    async def work(n: int) -> int:
        started.append(n)
        try:
            if n == 0:
                raise ValueError("first")
            await asyncio.sleep(60)
        finally:
            ended.append(n)
        return n

    with pytest.raises(ValueError, match="first"):
        _ = [n async for n in ordered_map(work, range(5), window=5)]
    assert 0 in started
    assert sorted(ended) == started
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_an_error_of_the_items_comes_after_the_results_before_it() -> None:
    def items() -> Iterator[int]:
        yield 0
        raise ValueError("torn")

    async def work(n: int) -> int:
        return n

    results = ordered_map(work, items(), window=1)
    assert await anext(results) == 0
    with pytest.raises(ValueError, match="torn"):
        await anext(results)


async def test_items_that_need_not_wait_share_tasks() -> None:
    tasks: set[asyncio.Task[int] | None] = set()

    async def work(n: int) -> int:
        tasks.add(asyncio.current_task())
        return n

    assert [n async for n in ordered_map(work, range(1000), window=100)] == list(range(1000))
    assert len(tasks) <= 2 * 1000 / 100


async def test_who_waits_holds_up_nobody() -> None:
    under_way = 0
    all_started = asyncio.Event()

    async def work(n: int) -> int:
        nonlocal under_way
        under_way += 1
        if under_way == 50:
            all_started.set()
        await all_started.wait()
        return n

    async with asyncio.timeout(10):
        assert [n async for n in ordered_map(work, range(50), window=50)] == list(range(50))


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
