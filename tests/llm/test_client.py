from __future__ import annotations

import asyncio
from typing import Any

import msgspec
import pytest

from datagen.errors import LLMError
from datagen.llm.base import Reply, Sampling, TokenLogprob
from datagen.llm.client import LLM
from datagen.llm.journal import Journal
from datagen.llm.scripted import scripted
from datagen.record import Message

from .conftest import ask

BASE = Sampling(temperature=0.5, seed=1)
CHANGES: list[dict[str, Any]] = [
    {"temperature": 0.6},
    {"top_p": 0.9},
    {"top_k": 5},
    {"max_tokens": 9},
    {"stop": ("x",)},
    {"seed": 2},
    {"presence_penalty": 0.1},
    {"frequency_penalty": 0.1},
    {"logprobs": 0},
    {"schema": {"type": "object"}},
    {"choice": ("a", "b")},
    {"extra": {"min_p": 0.1}},
]


def test_every_sampling_field_is_tried_below() -> None:
    assert {name for change in CHANGES for name in change} == set(Sampling.__struct_fields__)


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: next(iter(change)))
async def test_a_changed_sampling_field_is_a_new_call(journal: Journal, change: dict[str, Any]) -> None:
    backend = scripted(function=lambda *_: "r")
    llm = LLM(backend, journal)
    await llm.chat(ask("q"), BASE)
    await llm.chat(ask("q"), msgspec.structs.replace(BASE, **change))
    assert backend.requests == 2


@pytest.mark.parametrize(
    ("messages", "sample"),
    [
        (ask("other"), 0),
        ([Message("system", "s"), *ask("q")], 0),
        ([Message("system", "q")], 0),
        ([*ask("q"), Message("assistant", "a"), *ask("q")], 0),
        (ask("q"), 1),
    ],
)
async def test_changed_messages_or_sample_are_a_new_call(
    journal: Journal, messages: list[Message], sample: int
) -> None:
    backend = scripted(function=lambda *_: "r")
    llm = LLM(backend, journal)
    await llm.chat(ask("q"), BASE)
    await llm.chat(messages, BASE, sample)
    assert backend.requests == 2


async def test_another_identity_or_pipeline_seed_is_a_new_call(journal: Journal) -> None:
    first, second = scripted(function=lambda *_: "r"), scripted(function=lambda *_: "r", model="other")
    for llm in (LLM(first, journal), LLM(second, journal), LLM(second, journal, seed=5)):
        await llm.chat(ask("q"), Sampling(temperature=1))
    assert (first.requests, second.requests) == (1, 2)


async def test_a_replay_makes_no_call(journal: Journal) -> None:
    asked = scripted(replies=[Reply("r", logprobs=(TokenLogprob("r", -1.0),))])
    reply = await LLM(asked, journal).chat(ask("q"), BASE)
    silent = scripted(replies=[Reply("r", logprobs=(TokenLogprob("r", -1.0),))])
    llm = LLM(silent, journal)
    assert await llm.chat(ask("q"), BASE) == reply
    assert (silent.requests, llm.stats.replayed, llm.stats.calls) == (0, 1, 0)


async def test_identical_requests_at_once_are_one_call(journal: Journal) -> None:
    backend = scripted(replies=["r"], latency_s=0.02)
    llm = LLM(backend, journal)
    replies = await asyncio.gather(*[llm.chat(ask("q"), BASE) for _ in range(20)])
    assert {reply.text for reply in replies} == {"r"}
    assert backend.requests == 1


async def test_a_cancelled_caller_does_not_take_the_others_with_it(journal: Journal) -> None:
    llm = LLM(scripted(replies=["r"], latency_s=0.02), journal)
    first, second = (asyncio.ensure_future(llm.chat(ask("q"), BASE)) for _ in range(2))
    await asyncio.sleep(0.005)
    first.cancel()
    assert (await second).text == "r"


async def test_a_call_that_nobody_waits_for_goes_on_and_who_comes_back_gets_its_reply(journal: Journal) -> None:
    backend = scripted(function=lambda *_: "r", latency_s=0.02)
    llm = LLM(backend, journal)
    only = asyncio.ensure_future(llm.chat(ask("q"), BASE))
    await asyncio.sleep(0.005)
    only.cancel()
    await asyncio.sleep(0)
    assert (await llm.chat(ask("q"), BASE)).text == "r"
    assert (backend.requests, len(journal)) == (1, 1)


async def test_closing_stores_what_came_and_gives_up_what_did_not(journal: Journal) -> None:
    quick = LLM(scripted(function=lambda *_: "r"), journal)
    slow = LLM(scripted(function=lambda *_: "r", latency_s=30), journal)
    came, waiting = asyncio.ensure_future(quick.chat(ask("q"), BASE)), asyncio.ensure_future(slow.chat(ask("p"), BASE))
    await asyncio.sleep(0.001)
    came.cancel()
    await quick.close()
    await slow.close()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    journal.close()
    again = Journal(journal.path)
    assert len(again) == 1
    again.close()


async def test_a_failed_call_is_not_stored_and_is_made_again(journal: Journal) -> None:
    backend = scripted(replies=[LLMError("timeout", "late"), "r"])
    llm = LLM(backend, journal)
    with pytest.raises(LLMError):
        await llm.chat(ask("q"), BASE)
    assert (await llm.chat(ask("q"), BASE)).text == "r"
    assert llm.stats.failures == {"timeout": 1}


async def test_lone_surrogates_are_replaced_in_messages_and_replies(journal: Journal) -> None:
    broken = Reply("half \ud83d, whole \ud83d\ude00", logprobs=(TokenLogprob("\ud83d", -1.0, {"\ud83d": -1.0}),))
    backend = scripted(function=lambda *_: broken)
    llm = LLM(backend, journal)
    reply = await llm.chat(ask("q \ud800"), Sampling())
    assert reply.text == "half \ufffd, whole 😀"
    assert await llm.chat(ask("q \ud800"), Sampling()) == reply
    assert backend.requests == 1


async def test_a_refusal_is_a_failure_that_is_paid_for_once(journal: Journal) -> None:
    backend = scripted(function=lambda *_: Reply("I cannot", "content_filter"))
    llm = LLM(backend, journal)
    for _ in range(2):
        with pytest.raises(LLMError, match="refused") as caught:
            await llm.chat(ask("q"), BASE)
        assert (caught.value.reason, caught.value.raw) == ("refused", "I cannot")
    assert (backend.requests, llm.stats.failures) == (1, {"refused": 2})


async def test_replies_cut_at_max_tokens_are_counted(journal: Journal) -> None:
    llm = LLM(scripted(replies=[Reply("I", "length")]), journal)
    assert (await llm.chat(ask("q"), BASE)).text == "I"
    assert llm.stats.failures == {"truncated": 1}
