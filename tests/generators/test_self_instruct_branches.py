"""Self-Instruct's classification branch and Alpaca's style; the loop itself is in test_self_instruct."""

from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from datagen.errors import ConfigError, LLMError
from datagen.generators.self_instruct import check, self_instruct
from datagen.llm.base import Reply, Sampling
from datagen.llm.client import LLM
from datagen.llm.scripted import Function
from datagen.plugins import load_stage
from datagen.record import Message, Record, instruction
from datagen.rng import derive

Open = Callable[[Function], LLM]
Answer = str | Reply | LLMError
SEEDS = [
    instruction(f"{text}\n{input}" if input else text, output, labels={"instruction": text, "input": input})
    for text, input, output in (
        ("Name one bird you like.", "", "The wren."),
        ("Add the two numbers.", "2 and 3", "5"),
        ("Spell the word backwards.", "tip", "pit"),
        ("Tell me what a lake is.", "", "A body of water."),
    )
]


async def made(llm: LLM, count: int = 1, *, seeds: Sequence[Record] = SEEDS, **options: Any) -> list[Record]:
    options = {"prompts_per_round": 1, "max_idle_rounds": 1, **options}
    found = self_instruct(seeds, llm=llm, rng=random.Random(options.pop("seed", 0)), count=count, **options)
    return [record async for record in found]


def reasons(records: list[Record]) -> Counter[str]:
    return Counter(record.dropped.reason.split(":")[1] for record in records if record.dropped)


def branching(classified: Answer, input_first: Answer = "Output: fine", classes: Answer = "Class label: x") -> Function:
    def reply(messages: Sequence[Message], sampling: Sampling, sample: int) -> Answer:
        text = messages[-1].content
        if "Classification?" in text:
            return classified
        if "Class label:" in text:
            return classes
        return input_first if "Task:" in text else "5. Decide whether the word is kind"

    return reply


# The classification branch


async def test_a_classification_task_is_solved_output_first(llm: Open) -> None:
    classes = "Class label: kind\nInput: dear\nClass label: unkind\nInput: fool"
    found = await made(llm(branching("Yes", LLMError("wrong", "input-first"), classes)))
    task = "Decide whether the word is kind"
    assert [(one.instruction, one.answer) for one in found] == [(f"{task}\ndear", "kind"), (f"{task}\nfool", "unkind")]
    assert all(one.labels["is_classification"] is True for one in found)
    assert found[0].labels["instruction"] == task


async def test_any_other_task_is_solved_input_first(llm: Open) -> None:
    (found,) = await made(llm(branching("No", classes=LLMError("wrong", "output-first"))))
    assert (found.answer, found.labels["is_classification"]) == ("fine", False)


async def test_a_reply_that_does_not_say_is_no_verdict_and_the_task_is_solved_input_first(llm: Open) -> None:
    (found,) = await made(llm(branching("That depends.", classes=LLMError("wrong", "output-first"))))
    assert found.answer == "fine"
    assert "is_classification" not in found.labels


async def test_a_pack_that_skips_the_question_is_not_asked(llm: Open) -> None:
    def reply(messages: Sequence[Message], sampling: Sampling, sample: int) -> str:
        return "Output: fine" if "example" in messages[-1].content else "5. Decide whether the word is kind"

    opened = llm(reply)
    opened.pack = "tiny"
    (found,) = await made(opened)
    assert opened.stats.calls == 2
    assert "is_classification" not in found.labels


@pytest.mark.parametrize(
    ("classes", "kept", "dropped"),
    [
        ("Class label: a\nInput: b\nClass label: c\nInput: b", 0, {"contradiction": 2}),
        ("Class label: a\nInput: b\nClass label: a\nInput: b", 1, {"duplicate_instance": 1}),
        ("Class label:\nInput: b", 0, {"empty_output": 1}),
        ("Class label: a", 1, {}),
        ("The label is a.", 0, {"no_instance": 1}),
        ("", 0, {"no_instance": 1}),
        (Reply("Class label: a\nInput: b\nClass label: c\nInput: d", "length"), 1, {"truncated": 1}),
        ("Class label: a\nInput: b\n\nTask: Spell it.\nClass label: c\nInput: d", 1, {}),
        (LLMError("timeout", "slow"), 0, {"timeout": 1}),
    ],
)
async def test_output_first_instances_are_cleaned_like_the_others(
    llm: Open, classes: Answer, kept: int, dropped: dict[str, int]
) -> None:
    records = await made(llm(branching("Yes", classes=classes)))
    assert sum(record.dropped is None for record in records) == kept
    assert reasons(records) == dropped


ASKED = "Task: Decide whether the word is kind"


@pytest.mark.parametrize(
    ("reply", "answers"),
    [
        ("Output: kind\n\nTask: Name a tree.\nOutput: oak", ["kind"]),
        (Reply("Output: kind\n\nTask: Name a tree.\nOutput: oa", "length"), ["kind"]),
        (f"{ASKED}\nOutput: kind\n\nTask: Name a tree.\nOutput: oak", ["kind"]),
        (f"Give examples.\n\nTask: Name a tree.\nOutput: oak\n\n{ASKED}\nOutput: kind", ["kind"]),
        ("Output: My plan\n\nTask: call them\nDue: today", ["My plan\n\nTask: call them\nDue: today"]),
        ("Output: kind\nTask: it is not", ["kind\nTask: it is not"]),
        (f"{ASKED}", []),
    ],
)
async def test_the_prompt_s_tasks_and_those_that_a_model_goes_on_to_are_none_of_this_one(
    llm: Open, reply: Answer, answers: list[str]
) -> None:
    records = await made(llm(branching("No", reply)))
    assert [record.answer for record in records if not record.dropped] == answers


async def test_a_question_that_fails_costs_the_task_and_says_why(llm: Open) -> None:
    (found,) = await made(llm(branching(LLMError("http_500", "down"))))
    assert reasons([found]) == {"http_500": 1}
    assert found.instruction == "Decide whether the word is kind"


async def test_a_prompt_with_a_parser_that_does_not_fit_is_the_user_s_mistake(llm: Open) -> None:
    with pytest.raises(ConfigError, match="parser 'numbered_list' does not fit here; allowed: instances, class_labels"):
        await made(llm(branching("No")), instances_prompt="self_instruct/tasks")


# Alpaca


def block(number: int, task: str, input: str = "<noinput>", output: str = "Done.") -> str:
    return f"{number}. Instruction: {task}\n{number}. Input:\n{input}\n{number}. Output:\n{output}\n###\n"


async def alpaca(llm: LLM, count: int = 1, **options: Any) -> list[Record]:
    return await made(llm, count, style="alpaca", **options)


async def test_one_call_brings_tasks_with_input_and_output(llm: Open) -> None:
    reply = block(4, "explain how Paris grew:", "In 1800 it was small.", "It grew.") + block(5, "List some old cities.")
    opened = llm(lambda *_: reply)
    first, second = await alpaca(opened, 2)
    assert (first.instruction, first.answer) == ("Explain how Paris grew\nIn 1800 it was small.", "It grew.")
    assert (first.labels["instruction"], first.labels["input"]) == ("Explain how Paris grew", "In 1800 it was small.")
    assert (first.labels["round"], first.labels["request"], first.answers[0].model) == (0, 0, "scripted")
    assert (second.instruction, second.labels["input"]) == ("List some old cities.", "")
    assert opened.stats.calls == 1


async def test_a_request_shows_three_seeds_whole_and_nothing_machine_made(llm: Open) -> None:
    shown: list[str] = []

    def spy(messages: Sequence[Message], sampling: Sampling, sample: int) -> str:
        shown.append(messages[-1].content)
        words = " ".join(derive(sample).choice("abcdefghijk") * 3 for _ in range(6))
        return block(4, words, "", f"Made {sample}.")

    found = await alpaca(llm(spy), 9)
    assert all(text.count(" Instruction: ") == 3 and "tasks 4 to 20" in text for text in shown)
    assert not any("Made" in text for text in shown)
    together = "\n".join(shown)
    assert "Instruction: Add the two numbers.\n" in together
    assert "Input:\n2 and 3\n" in together
    assert "Input:\n<noinput>\n" in together
    assert "Output:\npit\n" in together
    assert all(len(one.parents) == 3 and set(one.parents) <= {seed.id for seed in SEEDS} for one in found)


@pytest.mark.parametrize(
    ("reply", "kept", "dropped"),
    [
        (block(4, "Explain what a video is to him."), 0, {"needs_more_than_text": 1}),
        (block(4, "Describe the flowchart in your words."), 0, {"needs_more_than_text": 1}),
        (block(4, "Sing it"), 0, {"too_short": 1}),
        (block(4, "Write a program that adds numbers."), 0, {"program": 1}),
        (block(4, "Please add the two numbers."), 0, {"similar": 1}),
        (block(4, "Explain how a bird flies.", output=""), 0, {"empty_output": 1}),
        (block(4, "Explain how a bird flies.", "wings", "wings"), 0, {"output_is_input": 1}),
        ("4. Instruction: Explain how a bird flies.\n4. Output: So.", 0, {"unparsed": 1}),
        ("I would rather not.", 0, {"unparsed": 1}),
        ("", 0, {"unparsed": 1}),
        (Reply(block(4, "Explain how a bird flies.") + "5. Instruction: Na", "length"), 1, {"truncated": 1}),
        (Reply(block(4, "Explain how a bird flies."), "length"), 0, {"truncated": 1}),
        (Reply("Well", "length"), 0, {"truncated": 1}),
        (LLMError("http_500", "down"), 0, {"http_500": 1}),
    ],
)
async def test_alpaca_s_cleaning(llm: Open, reply: Answer, kept: int, dropped: dict[str, int]) -> None:
    records = await alpaca(llm(lambda *_: reply))
    assert sum(record.dropped is None for record in records) == kept
    assert reasons(records) == dropped
    assert all(record.labels["request"] == 0 and record.parents for record in records)


async def test_what_self_instruct_allows_and_alpaca_does_not_is_told_apart(llm: Open) -> None:
    (found,) = await made(llm(lambda messages, *_: "5. Explain what music is" if "list" in messages[0].content else ""))
    assert reasons([found]) == {"no_instance": 1}


async def test_a_seed_without_an_answer_cannot_be_shown(llm: Open) -> None:
    with pytest.raises(ConfigError, match="style alpaca shows answers"):
        await alpaca(llm(lambda *_: ""), seeds=[instruction("Name a bird.")])


async def test_the_same_seed_gives_the_same_records(llm: Open) -> None:
    def reply(messages: Sequence[Message], sampling: Sampling, sample: int) -> str:
        rng = derive(messages[-1].content, sample)
        return block(4, " ".join(rng.choice("abcdefghijklm") * 3 for _ in range(6)))

    first, again, other = [await alpaca(llm(reply), 9, seed=seed) for seed in (0, 0, 1)]
    assert first == again
    assert first != other


def test_a_request_that_would_show_nothing_is_refused() -> None:
    stage = load_stage("generators.self_instruct")
    defaults = {name: parameter.default for name, parameter in stage.parameters.items()} | {"count": 1}
    with pytest.raises(ConfigError, match="a request must show some"):
        check({**defaults, "human_examples": 0, "machine_examples": 0})
    check(defaults)
    for name in ("count", "prompts_per_round", "max_instances", "max_idle_rounds"):
        with pytest.raises(ConfigError, match=f"{name}: 0 is not 1 or more"):
            check({**defaults, name: 0})
    with pytest.raises(ConfigError, match="at most 1, not 7"):
        check({**defaults, "novelty": 7})
