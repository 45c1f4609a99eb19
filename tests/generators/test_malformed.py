"""Every generator, every question that it asks, every way in which a reply can be no answer to it.

One question gets the malformed reply and all others a good one. What comes of it is worked out by hand: a bad reply
never raises, never becomes a row unseen, and is kept with the reason.
"""

from __future__ import annotations

import random
import time
from collections.abc import Callable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, NamedTuple

import pytest

from datagen.generators.answer import answer
from datagen.generators.evol_instruct import evol_instruct
from datagen.generators.self_chat import self_chat
from datagen.generators.self_instruct import self_instruct
from datagen.generators.translate_answer import translate_answer
from datagen.llm.base import Reply, Sampling
from datagen.llm.client import LLM
from datagen.llm.scripted import Function
from datagen.record import Message, Record, encode, instruction

Open = Callable[[Function], LLM]
Malformed = Callable[[str, str], str | Reply]
"""From a good reply and the prompt."""

MILLION = 1_000_000
WAYS: dict[str, Malformed] = {
    "empty": lambda good, asked: "",
    "blank": lambda good, asked: " \n\t\n",
    "cut": lambda good, asked: Reply(good[: len(good) * 2 // 3], "length"),
    "prose": lambda good, asked: f"Sure! Here you are:\n\n{good}\n\nI hope that this helps.",
    "foreign": lambda good, asked: "对不起，我不明白您的意思。",
    "echo": lambda good, asked: asked,
    "echo_cut": lambda good, asked: Reply(asked[: len(asked) * 2 // 3], "length"),
    "misnumbered": lambda good, asked: "\n".join(
        f"{n}. {line}" for n, line in zip((40, 7, 3), good.splitlines() * 3, strict=False)
    ),
    "one_word": lambda good, asked: "x" * MILLION,
    "words": lambda good, asked: "word " * (MILLION // 5),
    "again": lambda good, asked: f"{good}\n" * (MILLION // (len(good) + 1)),
}

SEEDS = [
    instruction(f"{text}\n{given}" if given else text, output, labels={"instruction": text, "input": given})
    for text, given, output in (
        ("Name one bird you like.", "", "The wren."),
        ("Add the two numbers.", "2 and 3", "5"),
        ("Spell the word backwards.", "tip", "pit"),
        ("Tell me what a lake is.", "", "A body of water."),
    )
]
TASK = instruction("Say why the sky has a colour by day.", "It is blue for 1 reason: light is scattered.")


class Question(NamedTuple):
    """A generator, the words by which one of its questions is known, a good reply, and the settings."""

    generator: str
    known_by: str
    good: str
    options: Mapping[str, Any] = MappingProxyType({})


ALPACA = "5. Instruction: Explain how a bird can fly.\n5. Input:\n<noinput>\n5. Output:\nIt beats its wings."
TALK = "[Human] Why so?\n[AI] Because.\n[Human] And how?\n[AI] Like this.\n[Human] Bye!\n[AI] Goodbye!"
QUESTIONS = {
    "tasks": Question("self_instruct", "Continue the list", "5. Decide whether the word is a kind one"),
    "classification": Question("self_instruct", "Classification?", "No"),
    "instances": Question("self_instruct", "Give examples of how the task", "Input: dear friend\nOutput: it is kind"),
    "classes": Question("self_instruct", "Class label:", "Class label: kind\nInput: dear friend"),
    "alpaca": Question("self_instruct", "collection of twenty", ALPACA, {"style": "alpaca"}),
    "evolve": Question("evol_instruct", "<given_task>", "Say why the sky has two colours at dusk."),
    "equal": Question("evol_instruct", "Compare two tasks", "No"),
    "evolved_answer": Question("evol_instruct", "", "Light goes a longer way then."),
    "evolve_code": Question("evol_instruct", "<given_task>", "Say why in a loop of O(n).", {"style": "code"}),
    "transcript": Question("self_chat", "<topic>", TALK, {"style": "one_call"}),
    "chat_user": Question("self_chat", "<conversation>", "And at night?"),
    "chat_answer": Question("self_chat", "", "Light is scattered.", {"min_rounds": 1, "max_rounds": 1}),
    "translation": Question("translate_answer", "<text>", "Sag, warum der Himmel eine Farbe hat."),
    "reply": Question("translate_answer", "<answer>", "Aus 1 Grund: Licht streut.", {"order": "translate_after"}),
    "back": Question("translate_answer", "into English", "Say why the sky has a colour.", {"min_similarity": 0.5}),
    "foreign_answer": Question("translate_answer", "", "Weil das Licht streut."),
    "answer": Question("answer", "", "Because light is scattered."),
}


def answering(question: str, way: Malformed) -> Function:
    """The question gets what ``way`` makes of its good reply, all others get a good one."""

    def reply(messages: Sequence[Message], sampling: Sampling, sample: int) -> str | Reply:
        asked = "\n".join(message.content for message in messages)
        if question == "classes" and "Classification?" in asked:
            return "Yes"
        generator = QUESTIONS[question].generator
        own = [(name, one) for name, one in QUESTIONS.items() if one.generator == generator]
        known = [(len(one.known_by), name == question, name) for name, one in own]
        *_, name = max(one for one in known if QUESTIONS[one[2]].known_by in asked)
        good = QUESTIONS[name].good
        return way(good, messages[-1].content) if name == question else good

    return reply


async def made(llm: LLM, question: str) -> list[Record]:
    generator, options = QUESTIONS[question].generator, QUESTIONS[question].options
    rng = random.Random(0)
    if generator == "self_instruct":
        given = {"count": 1, "prompts_per_round": 1, "max_idle_rounds": 1, **options}
        return [record async for record in self_instruct(SEEDS, llm=llm, rng=rng, **given)]
    if generator == "evol_instruct":
        return await evol_instruct(TASK, llm=llm, rng=rng, rounds=1, **options)
    if generator == "self_chat":
        return await self_chat(TASK, llm=llm, rng=rng, **{"min_rounds": 2, "max_rounds": 2, **options})
    if generator == "translate_answer":
        return await translate_answer(TASK, llm=llm, rng=rng, languages=["German"], **options)
    return await answer(TASK, llm=llm)


def outcomes(records: list[Record]) -> set[str]:
    """What became of the rows: kept, or why not."""
    return {one.dropped.reason.partition(":")[2] if one.dropped else "kept" for one in records}


# What comes of a reply, and the ways for which it does.
EXPECTED: dict[str, dict[str, str]] = {
    "tasks": {
        "unparsed": "empty blank foreign one_word words",
        "truncated": "cut echo_cut",
        "kept": "prose",
        "similar": "echo",
        "kept similar": "misnumbered again",
    },
    # What does not say is no verdict: the task is solved input-first, as in the original, and bears none.
    "classification": {"kept": " ".join(WAYS)},
    "instances": {
        "no_instance": "empty blank cut foreign echo echo_cut misnumbered one_word words",
        "kept": "prose",
        "duplicate_instance kept": "again",
    },
    "classes": {
        "no_instance": "empty blank foreign echo echo_cut one_word words",
        "truncated": "cut",
        "kept": "prose",
        "kept missing_input": "misnumbered",
        "duplicate_instance kept": "again",
    },
    "alpaca": {
        "unparsed": "empty blank foreign misnumbered one_word words",
        "truncated": "cut echo_cut",
        "kept": "prose",
        "similar": "echo",
        "kept similar": "again",
    },
    "evolve": {
        "empty": "empty blank",
        "truncated": "cut echo_cut",
        "extra_prose": "prose",
        "copied_prompt": "echo",
        "too_long": "one_word words again",
        "kept": "foreign misnumbered",
    },
    "equal": {
        "equal_unparsed": "empty blank cut prose foreign echo echo_cut misnumbered one_word words",
        "kept": "again",
    },
    "evolved_answer": {
        "says_nothing": "empty blank",
        "answer_truncated": "cut echo_cut",
        "answer_echoed": "echo",
        "kept": "prose foreign misnumbered one_word words again",
    },
    "transcript": {
        "no_exchange": "empty blank foreign echo_cut one_word words",
        "too_few_rounds": "cut misnumbered",
        "copied_prompt": "echo",
        "kept": "prose again",
    },
    "chat_user": {
        "too_few_rounds": "empty blank cut prose echo echo_cut one_word words again",
        "kept": "foreign misnumbered",
    },
    "chat_answer": {
        "answer_empty": "empty blank",
        "answer_truncated": "cut echo_cut",
        "answer_echoed": "echo",
        "kept": "prose foreign misnumbered one_word words again",
    },
    "translation": {
        "translation_empty": "empty blank",
        "translation_truncated": "cut echo_cut",
        "extra_prose": "prose",
        "copied_prompt": "echo",
        "too_long": "one_word words again",
        "kept": "foreign misnumbered",
    },
    "reply": {
        "translation_empty": "empty blank",
        "translation_truncated": "cut echo_cut",
        "extra_prose": "prose",
        "copied_prompt": "echo",
        "lost_number": "foreign",
        "too_long": "one_word words again",
        "kept": "misnumbered",
    },
    "back": {
        "back_empty": "empty blank",
        "back_truncated": "cut echo_cut",
        "unlike": "foreign echo one_word words again",
        "kept": "prose misnumbered",
    },
    "answer": {
        "empty": "empty blank",
        "truncated": "cut echo_cut",
        "echoed": "echo",
        "kept": "prose foreign misnumbered one_word words again",
    },
}
EXPECTED["evolve_code"], EXPECTED["foreign_answer"] = EXPECTED["evolve"], EXPECTED["chat_answer"]
ANSWERS = ("evolved_answer", "chat_answer", "foreign_answer", "answer")
ROWS_OF_THEIR_OWN = {"kept", "similar", "duplicate_instance", "missing_input"}
"""Outcomes in which what the reply said is a row, kept or dropped, so that nothing is lost without the reply."""
LONG = ("words", "again")

CASES = [
    pytest.param(question, way, marks=[pytest.mark.slow] if way in LONG else [])
    for question in QUESTIONS
    for way in WAYS
]


@pytest.mark.parametrize(("question", "way"), CASES)
async def test_a_malformed_reply_is_never_an_error_nor_a_row_unseen(llm: Open, question: str, way: str) -> None:
    replies: list[str] = []

    def noted(good: str, asked: str) -> str | Reply:
        reply = WAYS[way](good, asked)
        replies.append(reply.text if isinstance(reply, Reply) else reply)
        return reply

    started = time.process_time()
    records = await made(llm(answering(question, noted)), question)
    assert time.process_time() - started < 20
    (expected,) = [found for found, ways in EXPECTED[question].items() if way in ways.split()]
    assert outcomes(records) == set(expected.split())
    assert sum(len(encode(record)) for record in records) < 50 * (len(replies[0]) + 1000)
    if outcomes(records).isdisjoint(ROWS_OF_THEIR_OWN):
        (dropped,) = [record.dropped for record in records if record.dropped]
        assert "raw" in dropped.evidence
    for kept in (record for record in records if not record.dropped):
        assert kept.answer == replies[-1].strip() if question in ANSWERS else "hope" not in str(kept)
