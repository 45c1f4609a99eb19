from __future__ import annotations

import logging
import random
from collections.abc import Callable, Iterable

import pytest

from datagen.filters.compare import compare
from datagen.filters.grade import grade
from datagen.filters.rank import rank
from datagen.filters.rate import rate
from datagen.llm.client import LLM
from datagen.llm.scripted import Function
from datagen.record import Answer, Record, instruction

Open = Callable[[Function], LLM]


def judge(llm: Open, model: str) -> LLM:
    opened = llm(lambda messages, sampling, sample: "Score: 5")
    opened.backend.model = model
    return opened


def row(*models: str) -> Record:
    return instruction("Name a colour.").with_answers([Answer(f"a{at}", model) for at, model in enumerate(models)])


async def graded(rows: Iterable[Record], llm: LLM) -> None:
    assert [record async for record in grade(rows, llm=llm, rng=random.Random(0))]


@pytest.mark.parametrize("name", ["grade", "compare", "rate", "rank"])
async def test_a_judge_of_the_answers_own_family_is_named_in_one_line(
    name: str, llm: Open, caplog: pytest.LogCaptureFixture
) -> None:
    opened, rows = judge(llm, "Qwen/Qwen3-8B"), [row("Qwen/Qwen3-0.6B", "SmolLM3-3B") for _ in range(3)]
    with caplog.at_level(logging.WARNING):
        if name == "grade":
            await graded(rows, opened)
        for record in rows if name != "grade" else ():
            if name == "compare":
                await compare(record, llm=opened)
            elif name == "rate":
                await rate(record, llm=opened, rng=random.Random(0))
            else:
                await rank(record, llm=opened, rng=random.Random(0))
    (said,) = [one.getMessage() for one in caplog.records if one.levelno == logging.WARNING]
    assert said.startswith("judge:same_family: Qwen/Qwen3-8B judges answers by Qwen/Qwen3-0.6B")


@pytest.mark.parametrize("model", ["gpt-4o", "123"])
async def test_a_judge_of_another_family_or_of_none_is_not(
    model: str, llm: Open, caplog: pytest.LogCaptureFixture
) -> None:
    await graded([row("Qwen/Qwen3-0.6B"), row(""), row("456")], judge(llm, model))
    assert not [one for one in caplog.records if one.levelno == logging.WARNING]
