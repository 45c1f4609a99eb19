from __future__ import annotations

import asyncio
from collections.abc import Callable

from datagen.llm import trail
from datagen.llm.client import LLM
from datagen.llm.scripted import Function
from datagen.record import Message, instruction

Open = Callable[[Function], LLM]


async def ask(llm: LLM, text: str) -> str:
    return (await llm.chat([Message("user", text)])).text


async def test_the_keys_of_all_requests_made_inside_lead_to_their_replies(llm: Open) -> None:
    llm = llm(lambda messages, sampling, sample: f"re: {messages[-1].content}")
    await ask(llm, "before")
    with trail.following() as calls:
        await asyncio.gather(ask(llm, "a"), ask(llm, "b"))
        await ask(llm, "before")
    await ask(llm, "after")
    replies = [llm.journal.get(bytes.fromhex(key)) for key in calls]
    assert [reply.text for reply in replies if reply] == ["re: a", "re: b", "re: before"]


async def test_what_is_asked_side_by_side_is_kept_apart(llm: Open) -> None:
    llm = llm(lambda messages, sampling, sample: messages[-1].content)

    async def one(text: str) -> list[str]:
        with trail.following() as calls:
            await ask(llm, text)
            await asyncio.sleep(0)
            await ask(llm, text + text)
        return calls

    first, second = await asyncio.gather(one("a"), one("b"))
    assert len({*first, *second}) == 4


def test_a_link_is_collected_under_the_records_id_and_outside_of_a_run_is_nothing() -> None:
    record = instruction("Say 1")
    assert trail.link(record, ["00"]) is record
    with trail.collecting() as links:
        trail.link(record, ["01", "02"])
        trail.link(record, ["03"])
    assert links == {record.id: ["01", "02", "03"]}


def test_a_link_goes_on_from_those_of_the_record_that_it_was_made_from() -> None:
    task, instance = instruction("Say 1"), instruction("Say 1", "1")
    with trail.collecting() as links:
        trail.link(task, ["01"])
        trail.link(instance, ["02"], of=task)
    assert links == {task.id: ["01"], instance.id: ["01", "02"]}
