from __future__ import annotations

import random
from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from datagen.errors import ConfigError, LLMError
from datagen.generators.translate_answer import translate_answer
from datagen.llm.base import Reply, Sampling
from datagen.llm.client import LLM
from datagen.llm.scripted import Answer, Function
from datagen.record import Message, Record, instruction
from datagen.rng import derive

Open = Callable[[Function], LLM]
TASK = instruction("Add 12 and 30.", "It is 42.", labels={"instruction": "Add 12 and 30.", "input": "", "use": "maths"})


def part(messages: Sequence[Message], tag: str) -> str:
    """What stands between ``<tag>`` and its end in the last message."""
    return messages[-1].content.partition(f"<{tag}>\n")[2].partition(f"\n</{tag}>")[0]


def bilingual(translation: Answer | None = None, answer: Answer = "Es sind 42.") -> Function:
    """A translator that puts ``(language)`` before the text, or gives ``translation``; and who answers."""

    def reply(messages: Sequence[Message], sampling: Sampling, sample: int) -> Answer:
        text = part(messages, "text") or part(messages, "answer")
        if not text:
            return answer
        language = messages[-1].content.partition(" into ")[2].partition(", the way")[0]
        return f"({language}) {text}" if translation is None else translation

    return reply


async def put(llm: LLM, record: Record = TASK, *, seed: int = 0, **options: Any) -> list[Record]:
    return await translate_answer(record, llm=llm, rng=derive(seed), **{"languages": ["German"], **options})


async def test_the_instruction_is_translated_and_answered_in_its_language(llm: Open) -> None:
    (made,) = await put(llm(bilingual()))
    assert (made.instruction, made.answer) == ("(German) Add 12 and 30.", "Es sind 42.")
    assert (made.language, made.source, made.parents) == ("de", "translate_answer", (TASK.id,))
    assert made.labels == {"use": "maths", "order": "answer_after"}
    assert made.answers[0].model == "scripted"


async def test_in_the_other_order_the_answer_is_translated_and_none_is_asked_for(llm: Open) -> None:
    opened = llm(bilingual(answer=LLMError("http_500", "nobody may ask")))
    (made,) = await put(opened, order="translate_after")
    assert (made.instruction, made.answer) == ("(German) Add 12 and 30.", "(German) It is 42.")
    assert made.labels["order"] == "translate_after"


async def test_the_other_order_needs_an_answer(llm: Open) -> None:
    opened = llm(bilingual())
    (made,) = await put(opened, instruction("Add."), order="translate_after")
    assert made.dropped
    assert made.dropped.reason == "translate_answer:no_answer"
    assert opened.stats.calls == 0


async def test_every_turn_of_a_dialogue_is_translated(llm: Open) -> None:
    prompt = (Message("system", "Be brief."), Message("user", "Hi"), Message("assistant", "Hello"), *TASK.prompt)
    requests: list[str] = []

    def reply(messages: Sequence[Message], sampling: Sampling, sample: int) -> Answer:
        requests.append(part(messages, "request"))
        return bilingual()(messages, sampling, sample)

    (made,) = await put(llm(reply), Record(prompt))
    assert requests == ["", "", "Hi", "", ""]
    assert [turn.content for turn in made.prompt] == [f"(German) {turn.content}" for turn in prompt]
    assert [turn.role for turn in made.prompt] == [turn.role for turn in prompt]


async def test_a_translator_of_its_own_translates_and_the_llm_answers(llm: Open) -> None:
    opened = llm(lambda messages, sampling, sample: f"to: {messages[-1].content}")
    (made,) = await put(opened, translator=llm(bilingual()))
    assert made.answer == "to: (German) Add 12 and 30."


async def test_languages_are_drawn_by_weight_and_once_for_a_record(llm: Open) -> None:
    opened = llm(bilingual())
    drawn: Counter[str] = Counter()
    for seed in range(200):
        made = await put(opened, seed=seed, languages={"German": 8, "French": 1, "Xhosa": 1}, per_record=2)
        languages = [record.language for record in made]
        assert len(set(languages)) == 2
        drawn[languages[0]] += 1
    assert drawn["de"] > 130
    assert min(drawn["fr"], drawn["xh"]) > 5


async def test_the_same_rng_gives_the_same_records_and_another_others(llm: Open) -> None:
    options: dict[str, Any] = {"languages": ["German", "French", "Thai", "Zulu"], "per_record": 2}
    first, again, other = [await put(llm(bilingual()), seed=seed, **options) for seed in (0, 0, 2)]
    assert first == again
    assert [record.language for record in first] != [record.language for record in other]


@pytest.mark.parametrize(
    ("translation", "reason", "evidence"),
    [
        ("", "translation_empty", {"raw": ""}),
        (Reply("Addiere 12 un", "length"), "translation_truncated", {"raw": "Addiere 12 un"}),
        ("42", "lost_number", {"lost": ["12", "30"], "raw": "42"}),
        ("add 12 and 30", "untranslated", {"raw": "add 12 and 30"}),
        ("x" * 1_000_000, "too_long", {"raw": "x" * 1_000_000}),
        (LLMError("http_429", "slow down"), "http_429", {"error": "slow down", "attempts": 1}),
    ],
)
async def test_a_translation_that_is_none_drops_the_record_with_what_came(
    llm: Open, translation: Answer, reason: str, evidence: dict[str, Any]
) -> None:
    (made,) = await put(llm(bilingual(translation)))
    assert made.id == TASK.id
    assert made.dropped
    assert made.dropped.reason == f"translate_answer:{reason}"
    assert made.dropped.evidence == {"language": "German", **evidence}


@pytest.mark.parametrize(
    ("text", "kind"),
    [("Explain `f(x)`.", "code"), ("Fill in {name}.", "placeholder"), ("Read https://x.org/a.", "url")],
)
async def test_what_must_not_change_is_checked(llm: Open, text: str, kind: str) -> None:
    (made,) = await put(llm(bilingual("Nun ganz anders.")), instruction(text))
    assert made.dropped
    assert made.dropped.reason == f"translate_answer:lost_{kind}"


async def test_a_translated_answer_is_checked_as_well_but_may_stay_as_it_was(llm: Open) -> None:
    def reply(messages: Sequence[Message], sampling: Sampling, sample: int) -> str:
        return "Nenne den ersten König." if part(messages, "text") else "Ludwig XIV"

    kings = [instruction("Name the first king.", answer) for answer in ("Ludwig XIV", "Ludwig 14")]
    (kept,) = await put(llm(reply), kings[0], order="translate_after")
    assert (kept.answer, kept.dropped) == ("Ludwig XIV", None)
    (made,) = await put(llm(reply), kings[1], order="translate_after")
    assert made.dropped
    assert (made.dropped.reason, made.dropped.evidence["lost"]) == ("translate_answer:lost_number", ["14"])


async def test_nothing_but_code_need_not_change(llm: Open) -> None:
    (made,) = await put(llm(bilingual("`2 + 2`")), instruction("`2 + 2`"))
    assert not made.dropped


@pytest.mark.parametrize(("answer", "why"), [(" ", "answer_empty"), (Reply("Es sin", "length"), "answer_truncated")])
async def test_an_answer_that_is_none_drops_the_record(llm: Open, answer: Answer, why: str) -> None:
    (made,) = await put(llm(bilingual(answer=answer)))
    assert made.dropped
    assert made.dropped.reason == f"translate_answer:{why}"


async def test_one_language_that_fails_does_not_take_the_others_with_it(llm: Open) -> None:
    def reply(messages: Sequence[Message], sampling: Sampling, sample: int) -> Answer:
        failed = "into French" in messages[-1].content
        return LLMError("timeout", "slow") if failed else bilingual()(messages, sampling, sample)

    made = await put(llm(reply), languages=["German", "French", "Thai"], per_record=3)
    assert sorted(record.language for record in made if not record.dropped) == ["de", "th"]
    (dropped,) = [record.dropped for record in made if record.dropped]
    assert dropped.evidence["language"] == "French"


@pytest.mark.parametrize(("back", "kept"), [("Add 12 and 30!", True), ("Take 12 from 30 apples.", False)])
async def test_a_translation_must_come_back_much_as_it_was(llm: Open, back: str, kept: bool) -> None:
    def reply(messages: Sequence[Message], sampling: Sampling, sample: int) -> Answer:
        if "into English" in messages[-1].content:
            assert part(messages, "text") == "(German) Add 12 and 30."
            return back
        return bilingual()(messages, sampling, sample)

    (made,) = await put(llm(reply), min_similarity=0.6)
    if kept:
        assert 0.6 < made.labels["similarity"] < 1
        return
    assert made.dropped
    assert made.dropped.reason == "translate_answer:unlike"
    assert made.dropped.evidence["back"] == back
    assert made.dropped.evidence["similarity"] < 0.6


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ({"languages": ["Germn"]}, "unknown language 'Germn'; did you mean German?"),
        ({"languages": ["de"]}, "unknown language 'de'"),
        ({"languages": {"German": 0}}, "a weight must be above 0"),
        ({"languages": []}, "per_record: 1 of 0 languages"),
        ({"per_record": 2}, "per_record: 2 of 1 languages"),
        ({"min_similarity": 60}, "a chrF above 0 and at most 1"),
        ({"source_language": "British"}, "unknown language 'British'"),
    ],
)
async def test_a_wrong_setting_is_an_error_before_any_call(llm: Open, options: dict[str, Any], problem: str) -> None:
    opened = llm(bilingual())
    with pytest.raises(ConfigError, match=problem.replace("?", "[?]")):
        await translate_answer(TASK, llm=opened, rng=random.Random(0), **{"languages": ["German"], **options})
    assert opened.stats.calls == 0
