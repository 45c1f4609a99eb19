import json
from collections.abc import Callable
from pathlib import Path

import pytest

from datagen.errors import ConfigError, LLMError, StageError
from datagen.evaluation.exact_match import exact_match, normalized
from datagen.llm.client import LLM
from datagen.record import Answer, Record, instruction

MakeLLM = Callable[..., LLM]

ROWS = [
    instruction("capital of France?", "Paris", labels={"skill": "facts"}),
    instruction("2 + 2?", "4", labels={"skill": "sums"}),
    instruction("a colour?", "red", labels={"skill": "facts"}).with_answers([Answer("red"), Answer("blue")]),
    instruction("capital of Spain?", "Madrid", labels={"skill": "facts"}),
]
STUDENT = {"capital of France?": " paris. ", "2 + 2?": "4", "a colour?": "Blue", "capital of Spain?": "Lisbon"}
BASE = {"capital of France?": "the the", "2 + 2?": "4", "a colour?": "?", "capital of Spain?": ""}


def even(text: str, answer: str) -> bool | None:
    return None if text.startswith("a ") else len(answer) % 2 == 0


def lines(path: Path) -> list[dict[str, object]]:
    return [json.loads(line) for line in path.read_text().splitlines()]


async def test_right_is_what_equals_any_reference(make_llm: MakeLLM, tmp_path: Path) -> None:
    metrics = await exact_match(ROWS, tmp_path, model=make_llm(STUDENT))
    assert metrics["exact_match"] == 0.75
    assert metrics["model"] == {"exact_match": 0.75, "n": 4, "stderr": 0.2165, "name": "model"}
    assert [line["right"] for line in lines(tmp_path / "scores.jsonl")] == [
        {"model": True}, {"model": True}, {"model": True}, {"model": False}
    ]  # fmt: skip


async def test_a_baseline_is_asked_the_same_and_the_gain_is_paired(make_llm: MakeLLM, tmp_path: Path) -> None:
    base = make_llm(BASE, name="base")
    metrics = await exact_match(ROWS, tmp_path, model=make_llm(STUDENT), baseline=base)
    assert metrics["baseline"]["exact_match"] == 0.25
    # Differences 1, 0, 1, 0: mean 0.5, sample variance 1/3, error sqrt(1/12) = 0.2887.
    assert metrics["gain"]["difference"] == 0.5
    assert metrics["gain"]["stderr"] == 0.2887


async def test_scores_are_broken_down_by_a_label(make_llm: MakeLLM, tmp_path: Path) -> None:
    metrics = await exact_match(ROWS, tmp_path, model=make_llm(STUDENT))
    assert metrics["by"] == {"skill": {"facts": {"n": 3, "model": 0.6667}, "sums": {"n": 1, "model": 1.0}}}


async def test_an_oracle_decides_and_what_it_cannot_say_is_unscored(make_llm: MakeLLM, tmp_path: Path) -> None:
    metrics = await exact_match(ROWS, tmp_path, model=make_llm(STUDENT), oracle=f"{__name__}:even")
    assert metrics["n"] == 3
    assert metrics["unscored"] == 1
    assert metrics["exact_match"] == 0.6667  # "paris." and "Lisbon" have six letters, "4" has one


async def test_a_failed_request_is_wrong_and_counted(make_llm: MakeLLM, tmp_path: Path) -> None:
    failing = {**STUDENT, "2 + 2?": LLMError("timeout", "no reply")}
    metrics = await exact_match(ROWS, tmp_path, model=make_llm(failing))
    assert metrics["exact_match"] == 0.5
    assert metrics["failures"] == {"model": {"timeout": 1}}


async def test_a_model_that_never_answers_is_an_error_and_no_zero(make_llm: MakeLLM, tmp_path: Path) -> None:
    failing = {row.instruction: LLMError("http_500", "down") for row in ROWS}
    with pytest.raises(StageError, match="http_500"):
        await exact_match(ROWS, tmp_path, model=make_llm(failing))


async def test_rows_without_references_need_an_oracle(make_llm: MakeLLM, tmp_path: Path) -> None:
    rows = [Record(prompt=row.prompt) for row in ROWS]
    with pytest.raises(ConfigError, match="oracle"):
        await exact_match(rows, tmp_path, model=make_llm(STUDENT))


@pytest.mark.parametrize("name", ["nowhere:check", "datagen.record:nothing", "", "datagen.record:annotations"])
async def test_an_oracle_that_is_no_function_is_refused(make_llm: MakeLLM, tmp_path: Path, name: str) -> None:
    with pytest.raises(ConfigError, match="oracle"):
        await exact_match(ROWS, tmp_path, model=make_llm(STUDENT), oracle=name or "x")


async def test_limit_asks_the_first_rows_only(make_llm: MakeLLM, tmp_path: Path) -> None:
    assert (await exact_match(ROWS, tmp_path, model=make_llm(STUDENT), limit=2))["n"] == 2
    with pytest.raises(ConfigError, match="limit"):
        await exact_match(ROWS, tmp_path, model=make_llm(STUDENT), limit=0)


def test_normalization_keeps_inner_punctuation_and_articles() -> None:
    assert normalized("  The A-B, c!\n") == "the a-b, c"
    assert normalized("Ｐaris。") == "paris"
    assert normalized("US", ignore_case=False) == "US"
