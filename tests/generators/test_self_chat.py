from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from datagen.errors import ConfigError, LLMError
from datagen.generators.self_chat import self_chat
from datagen.llm.base import Reply, Sampling
from datagen.llm.client import LLM
from datagen.llm.scripted import Answer, Function
from datagen.record import Message, Record, instruction
from datagen.rng import derive
from datagen.training.rows import sft_row

Open = Callable[[Function], LLM]
SEED = instruction("Why is the sky blue?", labels={"topic": "science"})
TRANSCRIPT = "[Human] Why?\n[AI] Because.\n[Human] And how?\n[AI] So.\n[Human] Bye!\n[AI] Goodbye!"


def talking(user: Answer | None = None, assistant: Answer | None = None, *, after: int = 0) -> Function:
    """Both roles, numbered by the turn; ``user`` or ``assistant`` is said instead once ``after`` answers are there."""

    def answer(messages: Sequence[Message], sampling: Sampling, sample: int) -> Answer:
        plays_user = messages[0].role == "system"
        answers = messages[1].content.count("[AI] ") if plays_user else sum(m.role == "assistant" for m in messages)
        other = user if plays_user else assistant
        if other is not None and answers >= after:
            return other
        return f"Question {answers}?" if plays_user else f"Answer {answers}."

    return answer


async def chat(llm: LLM, *, rng: int = 0, record: Record = SEED, **options: Any) -> Record:
    (made,) = await self_chat(record, llm=llm, rng=derive(rng), **options)
    return made


def spoken(record: Record) -> list[str]:
    return [turn.content for turn in record.prompt] + [answer.content for answer in record.answers]


async def test_two_roles_speak_in_turns_and_the_last_answer_is_the_records_answer(llm: Open) -> None:
    made = await chat(llm(talking()), min_rounds=3, max_rounds=3)
    assert spoken(made) == ["Why is the sky blue?", "Answer 0.", "Question 1?", "Answer 1.", "Question 2?", "Answer 2."]
    assert [turn.role for turn in made.prompt] == ["user", "assistant"] * 2 + ["user"]
    assert made.labels == {"style": "two_roles", "rounds": 3, "stopped": "rounds"}
    assert (made.source, made.parents, made.answers[0].model) == ("self_chat", (SEED.id,), "scripted")


async def test_every_assistant_turn_is_in_the_training_row(llm: Open) -> None:
    row = sft_row(await chat(llm(talking()), min_rounds=3, max_rounds=3))
    assert isinstance(row, dict)
    assert [turn["content"] for turn in row["messages"] if turn["role"] == "assistant"] == [
        "Answer 0.",
        "Answer 1.",
        "Answer 2.",
    ]


async def test_the_user_may_be_another_llm_and_reads_the_dialogue_as_a_transcript(llm: Open) -> None:
    shown: list[str] = []

    def user(messages: Sequence[Message], sampling: Sampling, sample: int) -> str:
        shown.append(messages[1].content)
        return f"[Human] Then {len(shown)}?\n[AI] I answer myself."

    made = await chat(llm(talking()), user=llm(user), min_rounds=3, max_rounds=3)
    assert spoken(made)[2::2] == ["Then 1?", "Then 2?"]
    assert "[Human] Why is the sky blue?\n\n[AI] Answer 0.\n" in shown[0]
    assert "[Human] Then 1?\n\n[AI] Answer 1.\n" in shown[1]


async def test_a_dialogue_goes_on_from_the_records_own_and_keeps_its_system_prompt(llm: Open) -> None:
    prompt = (Message("system", "Be brief."), Message("user", "Hi"), Message("assistant", "Hello"), *SEED.prompt)

    def answer(messages: Sequence[Message], sampling: Sampling, sample: int) -> str:
        plays_user = messages[0].content != "Be brief."
        assert not plays_user or "Be brief." not in messages[1].content
        return "More?" if plays_user else f"Answer {len(messages)}."

    made = await chat(llm(answer), record=Record(prompt, language="en"), min_rounds=2, max_rounds=2)
    assert spoken(made) == ["Be brief.", "Hi", "Hello", *spoken(SEED), "Answer 4.", "More?", "Answer 6."]
    assert made.language == "en"


async def test_the_number_of_rounds_is_drawn_between_the_limits(llm: Open) -> None:
    opened = llm(talking())
    rounds = [(await chat(opened, rng=seed, min_rounds=2, max_rounds=4)).labels["rounds"] for seed in range(30)]
    assert set(rounds) == {2, 3, 4}
    assert rounds == [
        (await chat(llm(talking()), rng=s, min_rounds=2, max_rounds=4)).labels["rounds"] for s in range(30)
    ]


@pytest.mark.parametrize(
    ("user", "stopped"),
    [
        ("[END]", "end"),
        ("Thanks, that was all. [END]", "end"),
        ("", "user_empty"),
        ("[AI] Answer to myself.", "user_empty"),
        (Reply("And what ab", "length"), "user_truncated"),
        ("why is the sky BLUE", "user_repeats"),
        ("Great question! How can I help you further?", "user_answers"),
        ("As an AI, I have no wishes.", "user_answers"),
        ("As an AI language model, I have no wishes.", "user_answers"),
        (LLMError("context_length", "full"), "context_length"),
    ],
)
async def test_a_users_turn_that_is_none_ends_the_dialogue_after_its_last_answer(
    llm: Open, user: Answer, stopped: str
) -> None:
    made = await chat(llm(talking(user, after=2)), min_rounds=2)
    assert not made.dropped
    assert spoken(made) == ["Why is the sky blue?", "Answer 0.", "Question 1?", "Answer 1."]
    assert (made.labels["rounds"], made.labels["stopped"]) == (2, stopped)


@pytest.mark.parametrize("user", ["How can I help my dog calm down?", "As an AI, do you have feelings?"])
async def test_a_human_may_ask_how_to_help_and_what_an_ai_feels(llm: Open, user: str) -> None:
    made = await chat(llm(talking(user, after=2)), min_rounds=3, max_rounds=3)
    assert (made.labels["rounds"], user in spoken(made)) == (3, True)


@pytest.mark.parametrize(
    ("assistant", "stopped"),
    [
        ("", "answer_empty"),
        ("[Human] What else?", "answer_empty"),
        (Reply("The sky is", "length"), "answer_truncated"),
        (LLMError("context_length", "full"), "context_length"),
    ],
)
async def test_an_answer_that_is_none_takes_its_question_with_it(llm: Open, assistant: Answer, stopped: str) -> None:
    made = await chat(llm(talking(assistant=assistant, after=2)), min_rounds=2)
    assert spoken(made)[-1] == "Answer 1."
    assert made.labels["stopped"] == stopped


async def test_an_assistant_that_writes_the_users_part_too_is_cut_there(llm: Open) -> None:
    made = await chat(llm(talking(assistant="Blue.\n[Human] Why?\n[AI] So.")), min_rounds=1, max_rounds=1)
    assert made.answer == "Blue."


@pytest.mark.parametrize(
    ("assistant", "reason"),
    [("  ", "self_chat:answer_empty"), (Reply("The sky is", "length"), "self_chat:answer_truncated")],
)
async def test_without_a_first_answer_the_seed_is_dropped_with_what_came(
    llm: Open, assistant: str | Reply, reason: str
) -> None:
    made = await chat(llm(talking(assistant=assistant)))
    assert made.id == SEED.id
    assert made.dropped
    raw = assistant if isinstance(assistant, str) else assistant.text
    assert (made.dropped.reason, made.dropped.evidence) == (reason, {"raw": raw})


async def test_too_few_rounds_drop_the_dialogue_with_what_ended_it(llm: Open) -> None:
    made = await chat(llm(talking("[END]")), min_rounds=2)
    assert made.dropped
    assert made.dropped.reason == "self_chat:too_few_rounds"
    assert made.dropped.evidence == {"rounds": 1, "stopped": "end", "raw": "[END]"}
    assert (made.answer, made.parents) == ("Answer 0.", (SEED.id,))


@pytest.mark.parametrize("reason", ["http_500", "context_length"])
async def test_an_error_of_the_first_request_is_left_to_the_runner(llm: Open, reason: str) -> None:
    with pytest.raises(LLMError, match="down"):
        await chat(llm(talking(assistant=LLMError(reason, "down"))))


async def test_a_transcript_is_asked_for_once_and_loses_its_last_exchange(llm: Open) -> None:
    asked: list[Sequence[Message]] = []

    def answer(messages: Sequence[Message], sampling: Sampling, sample: int) -> str:
        asked.append(messages)
        return TRANSCRIPT

    made = await chat(llm(answer), style="one_call")
    assert spoken(made) == ["Why?", "Because.", "And how?", "So."]
    assert made.labels == {"style": "one_call", "rounds": 2, "stopped": "end"}
    assert made.parents == (SEED.id,)
    (messages,) = asked
    assert "Why is the sky blue?" in messages[-1].content
    assert messages[-1].content.endswith("[Human] Hello!\n[AI] Hi! How can I help you?")


async def test_a_transcript_has_max_rounds_at_most_and_min_rounds_at_least(llm: Open) -> None:
    made = await chat(llm(lambda *_: TRANSCRIPT), style="one_call", min_rounds=1, max_rounds=1)
    assert (spoken(made), made.labels["stopped"]) == (["Why?", "Because."], "rounds")
    made = await chat(llm(lambda *_: TRANSCRIPT), style="one_call", min_rounds=3)
    assert made.dropped
    assert made.dropped.evidence == {"rounds": 2, "stopped": "end", "raw": TRANSCRIPT}


async def test_a_transcript_that_is_cut_keeps_its_whole_exchanges(llm: Open) -> None:
    cut = Reply(TRANSCRIPT.removesuffix("bye!"), "length")
    made = await chat(llm(lambda *_: cut), style="one_call")
    assert (len(spoken(made)), made.labels["stopped"]) == (4, "truncated")


@pytest.mark.parametrize(
    "reply",
    [
        "",
        "I cannot write that.",
        "1. Why?\n2. Because.",
        "[Human] Hello!\n[AI] Hi! How can I help you?",
        "[Human] only one\n[AI] exchange",
        "x" * 1_000_000,
    ],
)
async def test_a_reply_without_a_whole_exchange_drops_the_seed_with_the_reply(llm: Open, reply: str) -> None:
    made = await chat(llm(lambda *_: reply), style="one_call")
    assert made.dropped
    assert (made.dropped.reason, made.dropped.evidence) == ("self_chat:no_exchange", {"raw": reply})


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"min_rounds": 0}, "min_rounds 0 and max_rounds 7"),
        ({"min_rounds": 5, "max_rounds": 4}, "needs 1 <= min_rounds <= max_rounds"),
        ({"style": "one_call", "user": "other"}, "one_call has one LLM write both roles"),
    ],
)
async def test_a_wrong_setting_is_an_error_before_any_call(llm: Open, options: dict[str, Any], problem: str) -> None:
    opened = llm(talking())
    given = {key: opened if key == "user" else value for key, value in options.items()}
    with pytest.raises(ConfigError, match=problem):
        await self_chat(SEED, llm=opened, rng=random.Random(0), **given)
    assert opened.stats.calls == 0
