from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Sequence

import pytest

from datagen.errors import LLMError
from datagen.generators.self_instruct import self_instruct
from datagen.llm.base import Reply, Sampling
from datagen.llm.client import LLM
from datagen.llm.scripted import Function
from datagen.record import Message, Record, instruction
from datagen.rng import derive

Open = Callable[[Function], LLM]
SEEDS = [
    instruction(text, "x") for text in ("Name one bird you like:", "Add the two numbers.", "Spell the word backwards.")
]


def inventive(messages: Sequence[Message], sampling: Sampling, sample: int) -> Reply | str:
    """Two new tasks for every request; every task has an input."""
    if "Task:" in messages[-1].content:
        task = messages[-1].content.rsplit("Task:", 1)[1].strip()
        return f"Input: in {task}\nOutput: out"
    rng = derive(sample)
    words = [" ".join(rng.choice("abcdefghijklmnopqrstuvwxyz") * 3 for _ in range(6)) for _ in range(2)]
    return f"4. {words[0]}\n5. {words[1]}\n"


async def made(llm: LLM, count: int, *, seed: int = 0, seeds: Sequence[Record] = SEEDS, **options: int) -> list[Record]:
    rng = random.Random(seed)
    return [record async for record in self_instruct(seeds, llm=llm, rng=rng, count=count, **options)]


def reasons(records: list[Record]) -> Counter[str]:
    return Counter(record.dropped.reason.split(":")[1] for record in records if record.dropped)


def answering(tasks: str | Reply | LLMError, instances: str | Reply | LLMError = "Output: fine") -> Function:
    return lambda messages, sampling, sample: instances if "Task:" in messages[-1].content else tasks


async def test_it_makes_as_many_tasks_as_asked_and_says_where_they_come_from(llm: Open) -> None:
    records = await made(llm(inventive), 40)
    kept = [record for record in records if not record.dropped]
    assert len({record.labels["instruction"] for record in kept}) == 40
    first = kept[0]
    assert first.instruction == f"{first.labels['instruction']}\n{first.labels['input']}"
    assert first.labels["instruction"][0].isupper()
    assert (first.answer, first.answers[0].model, first.source) == ("out", "scripted", "self_instruct")
    assert set(first.parents) == {seed.id for seed in SEEDS}
    known = {seed.id for seed in SEEDS} | {record.id for record in records}
    assert all(set(record.parents) <= known for record in records)
    assert any(set(record.parents) - {seed.id for seed in SEEDS} for record in kept)


async def test_the_same_seed_gives_the_same_records_and_another_seed_others(llm: Open) -> None:
    def echo(messages: Sequence[Message], sampling: Sampling, sample: int) -> Reply | str:
        salted = sample * 1000 + derive(messages[-1].content).randrange(1000)
        return inventive(messages, sampling, salted)

    opened = [llm(echo) for _ in range(3)]
    first, again = await made(opened[0], 40), await made(opened[1], 40)
    assert first == again
    assert first != await made(opened[2], 40, seed=1)


async def test_examples_are_six_human_and_two_machine_ones(llm: Open) -> None:
    shown: list[str] = []

    def spy(messages: Sequence[Message], sampling: Sampling, sample: int) -> Reply | str:
        if "Task:" not in messages[-1].content:
            shown.append(messages[-1].content)
        return inventive(messages, sampling, sample)

    seeds = [instruction(f"seed {word} " * 2) for word in "abcdefghi"]
    await made(llm(spy), 12, seeds=seeds, prompts_per_round=3)
    assert [shown[0].count("seed"), shown[0].count("\n8. "), shown[0].count("numbered 9 to 16")] == [16, 1, 1]
    assert shown[-1].count("seed") == 12


async def test_a_round_is_asked_while_the_one_before_it_is_under_way_and_none_that_is_not_needed(llm: Open) -> None:
    asked: list[str] = []

    def spy(messages: Sequence[Message], sampling: Sampling, sample: int) -> Reply | str:
        asked.append("solve" if "Task:" in messages[-1].content else "propose")
        return inventive(messages, sampling, sample)

    await made(llm(spy), 6, prompts_per_round=1)
    assert asked[:5].count("propose") == 3, "of two tasks a round, six take two rounds more than the first"
    assert asked.count("propose") == 3


@pytest.mark.parametrize(
    ("task", "reason"),
    [
        ("Too few words", "too_short"),
        ("word " * 151, "too_long"),
        ("Describe the PICTURE for me", "needs_more_than_text"),
        ("Write a program that adds two numbers", "program"),
        ("(Describe) how a bird can fly", "punctuation_start"),
        ("Über den Wolken ist es still", "non_ascii_start"),
        ("Please add the two numbers.", "similar"),
    ],
)
async def test_a_proposed_task_that_breaks_a_rule_is_dropped(llm: Open, task: str, reason: str) -> None:
    records = await made(llm(answering(f"4. {task}")), 1, prompts_per_round=1, max_idle_rounds=1)
    assert reasons(records) == {reason: 1}


async def test_a_similar_task_shows_its_neighbour(llm: Open) -> None:
    (record,) = await made(llm(answering("4. Please add the two numbers.")), 1, prompts_per_round=1, max_idle_rounds=1)
    assert record.dropped is not None
    assert record.dropped.evidence == {"neighbour": "Add the two numbers.", "similarity": pytest.approx(8 / 9)}


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        (Reply("4. Name one fish you eat\n5. Na", "length"), "truncated"),
        ("I would rather not.", "unparsed"),
        ("", "unparsed"),
        (LLMError("http_500", "down"), "http_500"),
    ],
)
async def test_a_reply_without_tasks_is_one_dropped_record_and_never_a_hang(
    llm: Open, caplog: pytest.LogCaptureFixture, reply: str | Reply | LLMError, reason: str
) -> None:
    records = await made(llm(answering(reply)), 5, prompts_per_round=2, max_idle_rounds=3)
    assert reasons(records) == {reason: 6}
    assert "stopped at 0 of 5 tasks: nothing new in 3 rounds" in caplog.text


@pytest.mark.parametrize(
    ("reply", "kept", "dropped"),
    [
        ("Output: fine", 1, {}),
        ("Input: a\nOutput: b\nInput: c\nOutput: d", 2, {}),
        ("Input: a\nOutput: b\nInput: a\nOutput: b", 1, {"duplicate_instance": 1}),
        ("Input: a\nOutput: b\nInput: a\nOutput: c", 0, {"contradiction": 2}),
        ("Input: a\nOutput: a", 0, {"output_is_input": 1}),
        ("Input: a\nOutput: as follows:", 0, {"unfinished": 1}),
        ("Input: a\nOutput:", 0, {"empty_output": 1}),
        ("No idea.", 0, {"no_instance": 1}),
        (Reply("Input: a\nOutput: b\nInput: c\nOutput: d", "length"), 1, {"truncated": 1}),
        ("".join(f"Input: {n}\nOutput: {n + 1}\n" for n in range(7)), 5, {"surplus_instance": 2}),
        (LLMError("timeout", "slow"), 0, {"timeout": 1}),
    ],
)
async def test_instances_are_cleaned(
    llm: Open, reply: str | Reply | LLMError, kept: int, dropped: dict[str, int]
) -> None:
    records = await made(llm(answering("4. Explain how a bird flies", reply)), 1, prompts_per_round=1)
    assert sum(record.dropped is None for record in records) == kept
    assert reasons(records) == dropped


async def test_what_comes_after_the_last_task_is_surplus(llm: Open) -> None:
    tasks = "4. Explain how a bird flies\n5. List some very old cities\n6. Describe what rain sounds like"
    records = await made(llm(answering(tasks)), 2, prompts_per_round=1)
    assert reasons(records) == {"surplus": 1}
    assert len(records) == 3


async def test_without_seeds_it_stops_at_once(llm: Open, caplog: pytest.LogCaptureFixture) -> None:
    assert await made(llm(inventive), 3, seeds=[]) == []
    assert "there is no seed task" in caplog.text


async def test_proper_nouns_keep_their_capitals(llm: Open) -> None:
    (record,) = await made(llm(answering("4. tell me why Paris is famous")), 1, prompts_per_round=1)
    assert record.instruction == "Tell me why Paris is famous"
