from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

from datagen import config
from datagen.errors import ConfigError, LLMError, StageError
from datagen.failures import is_failure
from datagen.record import instruction, read_records
from datagen.runner import Outcome

FAIL = {"llms.teacher.fail": "Say 7"}


@pytest.mark.parametrize(
    "reason",
    [
        "a:truncated",
        "a:unparsed",
        "a:http_429",
        "a:timeout",
        "a:refused",
        "a:empty",
        "a:answer_truncated",
        "a:bad_response",
        "a:chat_template",
        "a:bad_request",
        "a:engine",
        "a:too_large",
        "a:batch_expired",
        "a:batch_error",
    ],
)
def test_what_an_llm_failed_to_give_is_a_failure(reason: str) -> None:
    assert is_failure(instruction("x").drop(reason))


@pytest.mark.parametrize("reason", ["a:low_score", "a:too_short", "a:http", "truncated:kth"])
def test_a_verdict_is_no_failure(reason: str) -> None:
    assert not is_failure(instruction("x").drop(reason))
    assert not is_failure(instruction("x"))


def test_a_failed_row_is_kept_with_its_reason_and_goes_on_downstream(run_toy: Callable[..., Outcome]) -> None:
    all_rows = {"stages.fewer.k": 100, "stages.graded": {"use": "toy:every", "k": 100}}
    outcome = run_toy({**FAIL, **all_rows, "stages.answers.on_failure": "keep"}, n=10)
    rows = list(read_records(outcome.folders["answers"] / "rows.jsonl"))
    assert [record.instruction for record in rows] == [f"Say {n}" for n in range(10)]
    failed = {"reason": "answer:refused", "error": "the server would not", "attempts": 3}
    assert [record.labels.get("failed") for record in rows] == [None] * 7 + [failed] + [None] * 2
    assert (outcome.results["answers"].dropped, outcome.results["graded"].read) == (0, 9)


def test_a_failed_row_stops_the_run_where_that_is_wanted(run_toy: Callable[..., Outcome]) -> None:
    with pytest.raises(StageError, match=r"answers: answer:refused on row \w{32}: 'the server would not'"):
        run_toy({**FAIL, "stages.answers.on_failure": "stop"})
    assert run_toy({"stages.answers.on_failure": "stop"}).results["answers"].kept == 20


def test_a_verdict_is_dropped_whatever_becomes_of_failures(run_toy: Callable[..., Outcome]) -> None:
    outcome = run_toy({"stages.graded.on_failure": "keep", "stages.graded.at_least": 3})
    assert outcome.results["graded"].reasons.keys() == {"grade:low_score"}


def test_keeping_failures_makes_other_rows_and_stopping_does_not(run_toy: Callable[..., Outcome]) -> None:
    folders = [run_toy({"stages.answers.on_failure": how}).folders["answers"] for how in ("drop", "stop", "keep")]
    assert folders[0] == folders[1] != folders[2]


@pytest.mark.parametrize(
    ("stage", "problem"),
    [
        ({"use": "toy:answer", "llm": "t", "on_failure": "skip"}, "'skip'; it takes drop | keep | stop"),
        ({"use": "toy:every", "on_failure": "keep"}, "toy:every makes no rows with an LLM"),
        ({"use": "toy:measure", "llm": "t", "on_failure": "stop"}, "toy:measure makes no rows with an LLM"),
        (
            {"use": "generators.self_instruct", "llm": "t", "count": 3, "on_failure": "keep"},
            "a failed request has none to keep",
        ),
    ],
)
def test_what_cannot_be_meant_is_an_error_at_once(stage: dict[str, Any], problem: str) -> None:
    stages = {"a": {"use": "toy:numbers"}, "b": stage}
    with pytest.raises(ConfigError, match=problem.replace("|", r"\|")):
        config.build({"llms": {"t": {"use": "toy:backend"}}, "stages": stages})


def test_the_evidence_of_a_failure_is_what_was_said_and_sent() -> None:
    assert LLMError("timeout", "late", attempts=2).evidence == {"error": "late", "attempts": 2}
    assert LLMError("http_500", "boom", raw="<html>").evidence == {"error": "boom", "attempts": 1, "raw": "<html>"}
