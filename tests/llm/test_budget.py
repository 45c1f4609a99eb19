from __future__ import annotations

import asyncio
import random

import msgspec
import pytest

from datagen.errors import ConfigError
from datagen.llm.base import Sampling, Usage
from datagen.llm.budget import Budget, Cost, Limits, Price, cost, most
from datagen.llm.client import LLM
from datagen.llm.journal import Journal
from datagen.llm.openai import openai
from datagen.llm.scripted import scripted

from .conftest import ask


def test_a_price_is_usd_for_a_million_tokens() -> None:
    assert Price(0.5, 2.0).of(Usage(1_000_000, 500_000)) == 1.5
    assert cost(Usage(3, 4), None) == Cost(0.0, 7, 1)


def test_the_most_a_call_can_cost_is_a_token_a_byte_and_the_longest_reply() -> None:
    assert most(ask("é" * 10), Sampling(max_tokens=5), 0, Price(1e6, 1e6)) == Cost(89.0, 89, 1)
    assert most(ask(""), Sampling(), 9000, None).tokens == 9064
    assert most(ask(""), Sampling(), 10, None).tokens == 4160


@pytest.mark.parametrize("name", ["max_tokens", "max_completion_tokens"])
def test_the_most_a_reply_can_be_is_seen_where_it_is_an_extra_field(name: str) -> None:
    def reply(sampling: Sampling, **extra_body: int | None) -> int:
        fields = [one for one in (sampling.extra, extra_body) if one]
        return most([], sampling, 10_000, None, extra_body).tokens - sum(len(msgspec.json.encode(f)) for f in fields)

    assert reply(Sampling(), **{name: 30_000}) == 30_000
    assert reply(Sampling(max_tokens=5), **{name: 30_000}) == 30_000
    assert reply(Sampling(extra={name: 7}), **{name: 30_000}) == 7
    assert reply(Sampling(), **{name: None}) == 10_000


def test_tools_and_schemas_count_as_a_part_of_the_prompt() -> None:
    plain, schema = Sampling(max_tokens=5), {"type": "object", "properties": {}}
    bare = most(ask("q"), plain, 0, None).tokens
    assert most(ask("q"), Sampling(max_tokens=5, schema=schema), 0, None).tokens == bare + len(
        '{"type":"object","properties":{}}'
    )
    assert most(ask("q"), plain, 0, None, {"tools": ["x" * 100]}).tokens > bare + 100


async def test_a_call_is_held_for_what_the_back_end_lets_it_cost(journal: Journal) -> None:
    backend = openai(model="m", base_url="http://127.0.0.1:9/v1", extra_body={"max_tokens": 30_000})
    llm = LLM(backend, journal, budget=Budget(Limits(tokens=20_000)))
    with pytest.raises(ConfigError, match=r"the next call may cost .* 30,0\d\d tokens"):
        await llm.chat(ask("q"))


@pytest.mark.parametrize("limits", [Limits(tokens=10_000), Limits(usd=0.5), Limits(calls=77)])
async def test_many_calls_at_once_use_up_the_budget_and_never_cross_it(limits: Limits) -> None:
    rng, budget, in_flight, stopped = random.Random(0), Budget(limits), 0, []
    asked = Cost(0.02, 400, 1)

    async def call() -> None:
        nonlocal in_flight
        try:
            await budget.hold(asked)
        except ConfigError:
            stopped.append(in_flight)
            return
        in_flight += 1
        await asyncio.sleep(rng.random() * 0.002)
        in_flight -= 1
        share = rng.random()
        budget.settle(asked, Cost(0.02 * share, int(400 * share), 1))

    await asyncio.gather(*[call() for _ in range(300)])
    spent = dict(zip(("usd", "tokens", "calls"), budget.spent, strict=True))
    ((name, limit),) = [(name, value) for name in spent if (value := getattr(limits, name)) is not None]
    assert limit - getattr(asked, name) < spent[name] <= limit
    assert set(stopped) == {0}


async def test_a_cancelled_call_gives_back_what_was_set_aside() -> None:
    budget = Budget(Limits(calls=1))
    await budget.hold(Cost(calls=1))
    waiting, called = (asyncio.ensure_future(budget.hold(Cost(calls=1))) for _ in range(2))
    await asyncio.sleep(0)
    waiting.cancel()
    budget.settle(Cost(calls=1), Cost())
    called.cancel()
    await asyncio.gather(waiting, called, return_exceptions=True)
    await asyncio.wait_for(budget.hold(Cost(calls=1)), 1)


async def test_a_replay_costs_nothing_and_what_was_spent_is_said(journal: Journal) -> None:
    def llm(calls: int) -> LLM:
        budget = Budget(Limits(calls=calls), journal.spent())
        return LLM(scripted(function=lambda *_: "one two"), journal, price=Price(1e6, 1e6), budget=budget)

    await llm(1).chat(ask("a"))
    assert journal.spent() == Cost(3.0, 3, 1)
    assert (await llm(1).chat(ask("a"))).text == "one two"
    with pytest.raises(
        ConfigError, match=r"budget \(calls: 1\): spent \$3.0000, 3 tokens, 1 calls; .* the same command"
    ):
        await llm(1).chat(ask("b"))
    await llm(2).chat(ask("b"))
    assert journal.spent().calls == 2
