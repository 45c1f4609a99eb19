from __future__ import annotations

import logging
import math
from collections.abc import Callable, Sequence

import pytest

from datagen.errors import ConfigError, LLMError
from datagen.filters.grade import grade
from datagen.llm.base import Reply, Sampling, TokenLogprob
from datagen.llm.client import LLM
from datagen.llm.scripted import Function
from datagen.record import Answer, Message, Record, instruction

Open = Callable[[Function], LLM]


def by_answer(messages: Sequence[Message], sampling: Sampling, sample: int) -> Reply | LLMError:
    """The grader says what stands in the answer."""
    text = messages[-1].content
    for answer, score in {"good": "5", "fair": "4.5", "poor": "2", "odd": "who knows"}.items():
        if f"\n{answer}\n" in text:
            return Reply(f"{score}\nBecause.")
    if "\nlong\n" in text:
        return Reply("Well, I think", "length")
    return LLMError("http_500", "down")


async def graded(llm: LLM, *answers: str, **options: object) -> list[Record]:
    rows = [instruction(f"Q{at}", answer) for at, answer in enumerate(answers)]
    return [record async for record in grade(rows, llm=llm, **options)]  # type: ignore[arg-type]


def reasons(records: list[Record]) -> list[str | None]:
    return [record.dropped.reason if record.dropped else None for record in records]


async def test_answers_below_the_paper_s_threshold_are_dropped_with_their_score(llm: Open) -> None:
    found = await graded(llm(by_answer), "good", "fair", "poor")
    assert reasons(found) == [None, None, "grade:low_score"]
    assert found[0].answers[0].scores == {"accuracy": 5}
    assert found[0].answers[0].notes == {"accuracy": "5\nBecause."}
    assert found[2].dropped is not None
    assert found[2].dropped.evidence == {"score": 2, "min_score": 4.5}


async def test_a_reply_without_a_score_is_kept_as_it_came(llm: Open) -> None:
    found = await graded(llm(by_answer), "odd", "long", "none")
    assert reasons(found) == ["grade:unparsed", "grade:truncated", "grade:http_500"]
    assert found[0].dropped is not None
    assert found[0].dropped.evidence == {"raw": "who knows\nBecause."}


async def test_a_record_without_an_answer_is_not_asked_about(llm: Open) -> None:
    opened = llm(by_answer)
    found = [record async for record in grade([instruction("Q")], llm=opened)]
    assert reasons(found) == ["grade:no_answer"]
    assert opened.stats.calls == 0


async def test_keep_top_breaks_ties_by_order_and_counts_graded_rows_alone(llm: Open) -> None:
    found = await graded(llm(by_answer), "poor", "fair", "odd", "fair", "good", keep_top=0.5)
    low = "grade:low_score"
    assert reasons(found) == [low, None, "grade:unparsed", low, None]


async def test_a_bare_rubric_is_a_prompt_of_the_grade_folder_and_names_the_score(llm: Open) -> None:
    (found,) = await graded(llm(by_answer), "good", rubric="helpfulness", min_score=0)
    assert found.answers[0].scores == {"helpfulness": 5}


async def test_ids_stay_and_further_answers_too(llm: Open) -> None:
    record = Record((Message("user", "Q"),), (Answer("good"), Answer("poor")))
    (found,) = [record async for record in grade([record], llm=llm(by_answer))]
    assert found.id == record.id
    assert found.answers[1] == record.answers[1]


async def test_the_expected_score_weighs_the_alternatives(llm: Open) -> None:
    top = {"4": math.log(0.5), "5": math.log(0.3), " 3": math.log(0.1), "9": math.log(0.1)}
    tokens = (TokenLogprob("**", 0.0), TokenLogprob("4", math.log(0.5), top), TokenLogprob("**", 0.0))
    opened = llm(lambda messages, sampling, sample: Reply("**4**", logprobs=tokens if sampling.logprobs else ()))
    (found,) = await graded(opened, "good", expected=True, min_score=0)
    assert found.answers[0].scores["accuracy"] == 4.22  # (4 x 0.5 + 5 x 0.3 + 3 x 0.1) / 0.9


async def test_expected_without_log_probabilities_is_the_user_s_mistake(llm: Open) -> None:
    with pytest.raises(ConfigError, match="no log-probabilities"):
        await graded(llm(by_answer), "good", expected=True)


async def test_both_limits_at_once_are_refused(llm: Open) -> None:
    with pytest.raises(ConfigError, match="give one of them"):
        await graded(llm(by_answer), "good", min_score=4, keep_top=0.5)


async def test_the_histogram_is_logged(llm: Open, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.INFO, "datagen"):
        await graded(llm(by_answer), "good", "good", "poor")
    assert caplog.messages == ["grade: accuracy: 2: 1, 5: 2"]
