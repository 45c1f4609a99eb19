from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from datagen import config
from datagen.errors import ConfigError, LLMError
from datagen.generators.evol_instruct import chosen_prompts, evol_instruct
from datagen.llm.base import Reply, Sampling
from datagen.llm.client import LLM
from datagen.llm.scripted import Function
from datagen.record import Message, Record, encode, instruction
from datagen.rng import derive

Open = Callable[[Function], LLM]
Answer = str | Reply | LLMError
SEED = instruction("Name a colour.", "Red.", labels={"instruction": "Name a colour.", "input": ""}, language="en")


def is_comparison(messages: Sequence[Message]) -> bool:
    return "Compare two tasks" in messages[0].content


def is_evolution(messages: Sequence[Message]) -> bool:
    return "<given_task>" in messages[0].content


def task(messages: Sequence[Message]) -> str:
    return messages[0].content.split("<given_task>\n")[1].split("\n</given_task>")[0]


def answering(
    evolved: Answer | Callable[[str, int], Answer] = lambda old, sample: f"{old} And why {sample}?",
    equal: Answer = "No",
    answer: Answer = "Blue, like the sea.",
) -> Function:
    def reply(messages: Sequence[Message], sampling: Sampling, sample: int) -> Answer:
        if is_comparison(messages):
            return equal
        if is_evolution(messages):
            return evolved(task(messages), sample) if callable(evolved) else evolved
        return answer

    return reply


async def made(llm: LLM, record: Record = SEED, *, seed: int = 0, **options: Any) -> list[Record]:
    return await evol_instruct(record, llm=llm, rng=random.Random(seed), **options)


def reasons(records: list[Record]) -> list[str]:
    return [record.dropped.reason.removeprefix("evol_instruct:") if record.dropped else "" for record in records]


async def test_each_round_evolves_what_the_last_one_made_and_the_result_is_the_union(llm: Open) -> None:
    found = await made(llm(answering()), rounds=3)
    assert [record.instruction for record in found] == [
        "Name a colour. And why 1?",
        "Name a colour. And why 1? And why 2?",
        "Name a colour. And why 1? And why 2? And why 3?",
    ]
    assert [record.parents for record in found] == [(SEED.id,), (found[0].id,), (found[1].id,)]
    assert {record.answer for record in found} == {"Blue, like the sea."}


async def test_a_record_says_how_it_was_made_and_keeps_no_label_of_the_old_instruction(llm: Open) -> None:
    (found,) = await made(llm(answering()), rounds=1, operations=["deepen"])
    assert found.labels == {
        "operation": "deepen",
        "round": 1,
        "prompt": "evol_instruct/deepen",
        "model": "scripted",
    }
    assert (found.source, found.language, found.answers[0].model) == ("evol_instruct", "en", "scripted")


async def test_a_failed_evolution_leaves_the_old_instruction_to_the_next_round(llm: Open) -> None:
    def second_fails(old: str, sample: int) -> str:
        return old if sample == 2 else f"{old} And why {sample}?"

    found = await made(llm(answering(second_fails)), rounds=3)
    assert reasons(found) == ["", "unchanged", ""]
    assert found[2].instruction == "Name a colour. And why 1? And why 3?"
    assert found[1].parents == found[2].parents == (found[0].id,)


async def test_a_way_back_to_an_earlier_instruction_is_no_evolution(llm: Open) -> None:
    found = await made(
        llm(answering(lambda old, sample: ["Name a dark colour.", "Name a colour."][sample - 1])), rounds=2
    )
    assert reasons(found) == ["", "unchanged"]


async def test_a_failed_round_does_not_repeat_its_call(llm: Open) -> None:
    opened = llm(answering("Name a colour!"))
    assert reasons(await made(opened, rounds=3, operations=["deepen"])) == ["unchanged"] * 3
    assert (opened.stats.calls, opened.stats.replayed) == (3, 0)


@pytest.mark.parametrize(
    ("evolved", "reason"),
    [
        ("", "empty"),
        (" \n", "empty"),
        (Reply("Name a colour and", "length"), "truncated"),
        ("name a  COLOUR", "unchanged"),
        ("#Rewritten Prompt#: Name a dark colour.", "copied_prompt"),
        ("<given_task>\nName a dark colour.\n</given_task>", "copied_prompt"),
        ("You make tasks harder. Rewrite the task below so that even a colour wins.", "copied_prompt"),
        (LLMError("http_500", "down"), "http_500"),
    ],
)
async def test_a_rewriting_that_failed_is_dropped_and_not_answered(llm: Open, evolved: Answer, reason: str) -> None:
    opened = llm(answering(evolved))
    (found,) = await made(opened, rounds=1, operations=["deepen"])
    assert reasons([found]) == [reason]
    assert found.parents == (SEED.id,)
    assert found.labels["operation"] == "deepen"
    assert opened.stats.calls <= 1


async def test_a_prompt_s_own_words_may_stay_where_the_old_instruction_held_them(llm: Open) -> None:
    old = instruction("Say what a rewritten prompt is.")
    (found,) = await made(llm(answering("Say in detail what a rewritten prompt is.")), old, rounds=1)
    assert not found.dropped


@pytest.mark.parametrize(
    ("equal", "reason"),
    [
        ("No", ""),
        ("no, the second asks for more.", ""),
        ("Yes", "equal"),
        ("**Yes.**", "equal"),
        ("Both name a colour.", "equal_unparsed"),
        ("", "equal_unparsed"),
        (LLMError("timeout", "slow"), "timeout"),
    ],
)
async def test_the_llm_eliminates_what_asks_for_the_same_and_is_never_guessed_at(
    llm: Open, equal: Answer, reason: str
) -> None:
    opened = llm(answering("Name a dark colour.", equal))
    (found,) = await made(opened, rounds=1)
    assert reasons([found]) == [reason]
    if reason in ("equal", "equal_unparsed"):
        assert found.dropped is not None
        assert found.dropped.evidence == {"raw": equal}
        assert opened.stats.calls == 2


async def test_both_instructions_are_compared_and_the_evolved_one_is_answered(llm: Open) -> None:
    asked: list[str] = []

    def spy(messages: Sequence[Message], sampling: Sampling, sample: int) -> Answer:
        asked.append(messages[-1].content)
        return answering("Name a dark colour.")(messages, sampling, sample)

    await made(llm(spy), rounds=1)
    assert "<first>\nName a colour.\n</first>" in asked[1]
    assert "<second>\nName a dark colour.\n</second>" in asked[1]
    assert asked[2] == "Name a dark colour."


async def test_a_pack_without_the_comparison_is_not_asked_for_it(llm: Open) -> None:
    opened = llm(lambda messages, *_: "Blue." if len(messages[0].content) < 20 else "Name a dark one.")
    opened.pack = "tiny"
    (found,) = await made(opened, rounds=1, operations=["deepen"])
    assert found.instruction == "Name a dark one."
    assert opened.stats.calls == 2


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("I'm sorry, I cannot see any colour.", "sorry"),
        ("Sorry " + "word " * 80, ""),
        ("It is what it is, and so on...", "says_nothing"),
        ("?!", "says_nothing"),
        ("", "says_nothing"),
        ("No.", ""),
        ("4", ""),
        (Reply("Blue, li", "length"), "answer_truncated"),
        (LLMError("http_429", "later"), "http_429"),
    ],
)
async def test_an_answer_that_shows_a_bad_instruction_eliminates_it(llm: Open, answer: Answer, reason: str) -> None:
    assert reasons(await made(llm(answering(answer=answer)), rounds=1)) == [reason]


async def test_the_answers_sampling_is_theirs_alone(llm: Open) -> None:
    def shown(messages: Sequence[Message], sampling: Sampling, sample: int) -> str:
        if is_comparison(messages):
            return "No" if sampling.max_tokens == 16 else "Yes"
        return f"Warm {sampling.temperature} {sampling.max_tokens}"

    (found,) = await made(llm(shown), rounds=1, sampling={"temperature": 0.25, "max_tokens": 7})
    assert (found.instruction, found.answer) == ("Warm 1.0 2048", "Warm 0.25 7")


async def test_operations_are_drawn_with_equal_odds_from_the_style_s_or_those_named(llm: Open) -> None:
    async def drawn(**options: Any) -> Counter[str]:
        opened = llm(answering(lambda old, sample: f"Name colour {sample}."))
        rows = [row for n in range(20) for row in await made(opened, seed=n, rounds=30, **options)]
        return Counter(row.labels["operation"] for row in rows)

    text, code = await drawn(), await drawn(style="code")
    assert set(text) == {"add_constraints", "deepen", "concretize", "reason", "complicate_input", "breadth"}
    assert set(code) == {"code_constraints", "code_rarer", "code_reason", "code_mislead", "code_complexity"}
    assert min(text.values()) > 70
    assert min(code.values()) > 90
    assert set(await drawn(operations=["deepen", "breadth"])) == {"deepen", "breadth"}


async def test_a_dialogue_keeps_its_earlier_turns(llm: Open) -> None:
    prompt = (Message("user", "Hi"), Message("assistant", "Hello"), Message("user", "Name a colour."))
    (found,) = await made(llm(answering("Name a dark colour.")), Record(prompt), rounds=1)
    assert found.prompt == (*prompt[:2], Message("user", "Name a dark colour."))


async def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(llm: Open) -> None:
    def reply(messages: Sequence[Message], sampling: Sampling, sample: int) -> str:
        return "No" if is_comparison(messages) else f"Say {derive(messages[0].content, sample).random()}"

    runs = [await made(llm(reply), seed=seed) for seed in (0, 0, 1)]
    first, again, other = [[encode(record) for record in run] for run in runs]
    assert first == again
    assert first != other


async def test_a_rewriting_of_a_length_beyond_reason_has_failed(llm: Open) -> None:
    found = [await made(llm(answering("word " * words)), rounds=1) for words in (200_000, 500)]
    assert [reasons(one) for one in found] == [["too_long"], [""]]


def built(tmp_path: Path, **options: Any) -> config.Pipeline:
    (tmp_path / "data.jsonl").write_text('{"prompt": "Hi"}\n')
    stages = {
        "data": {"use": "sources.jsonl", "path": "data.jsonl"},
        "evolved": {"use": "generators.evol_instruct", "llm": "teacher", **options},
    }
    document = {"llms": {"teacher": {"use": "toy:backend", "prompts": "tiny"}}, "stages": stages}
    return config.build(document, base=tmp_path)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"operations": ["deepn"]}, "prompt evol_instruct/deepn: not found"),
        ({"operations": []}, "name some of add_constraints, deepen"),
        ({"operations": [], "style": "code"}, "name some of code_constraints"),
        ({"rounds": 0}, "0 is not 1 or more"),
        ({"style": "poem"}, "style: 'poem'"),
    ],
)
def test_a_mistake_in_the_settings_is_found_before_any_work(
    tmp_path: Path, options: dict[str, Any], message: str
) -> None:
    with pytest.raises(ConfigError, match=message):
        built(tmp_path, **options)


def test_the_operations_of_the_tiny_pack_bind(tmp_path: Path) -> None:
    operations = ["add_constraints", "deepen", "breadth"]
    node = built(tmp_path, operations=operations).nodes[1]
    assert chosen_prompts(node.arguments) == [f"evol_instruct/{name}" for name in operations]
