from __future__ import annotations

from collections.abc import Callable

import pytest

from datagen.errors import ConfigError
from datagen.generators.answer import answer, check
from datagen.llm.base import Reply
from datagen.llm.client import LLM
from datagen.llm.scripted import Function
from datagen.record import Answer, Message, Record, instruction

Open = Callable[[Function], LLM]


async def test_each_sample_is_an_answer_of_a_child(llm: Open) -> None:
    record = instruction("Q", "old", labels={"round": 1})
    (found,) = await answer(record, llm=llm(lambda messages, sampling, sample: f" A{sample} "), samples=2)
    assert found.answers == (Answer("A0", model="scripted"), Answer("A1", model="scripted"))
    assert found.parents == (record.id,)
    assert found.labels == {"round": 1}


async def test_the_whole_dialogue_is_asked(llm: Open) -> None:
    prompt = (Message("user", "Hi"), Message("assistant", "Hello"), Message("user", "Bye"))
    (found,) = await answer(
        Record(prompt), llm=llm(lambda messages, sampling, sample: repr([m.role for m in messages]))
    )
    assert found.answer == "['user', 'assistant', 'user']"


async def test_an_answer_that_was_cut_is_left_out(llm: Open) -> None:
    opened = llm(lambda messages, sampling, sample: Reply("cut", "length") if sample else Reply("whole"))
    (found,) = await answer(instruction("Q"), llm=opened, samples=2)
    assert [one.content for one in found.answers] == ["whole"]


async def test_nothing_but_bad_answers_drops_the_record(llm: Open) -> None:
    (cut,) = await answer(instruction("Q"), llm=llm(lambda *_: Reply("cut", "length")))
    (empty,) = await answer(instruction("Q"), llm=llm(lambda *_: " \n"))
    assert cut.dropped is not None
    assert (cut.dropped.reason, cut.dropped.evidence) == ("answer:truncated", {"raw": ["cut"]})
    assert empty.dropped is not None
    assert empty.dropped.reason == "answer:empty"


async def test_sampling_reaches_the_back_end(llm: Open) -> None:
    opened = llm(lambda messages, sampling, sample: str(sampling.temperature))
    (found,) = await answer(instruction("Q"), llm=opened, sampling={"temperature": 0.25})
    assert found.answer == "0.25"


def test_asking_for_no_answer_is_the_user_s_mistake_and_not_the_model_s() -> None:
    with pytest.raises(ConfigError, match="samples: 0 is not 1 or more"):
        check({"samples": 0})
