import json
from collections.abc import Callable
from pathlib import Path

import pytest

from datagen.errors import ConfigError, LLMError, StageError
from datagen.evaluation.win_rate import win_rate
from datagen.llm.client import LLM
from datagen.record import Record, instruction

MakeLLM = Callable[..., LLM]

ROWS = [instruction(question, "ok") for question in ("one", "two", "three", "four", "five")]
STUDENT = {"one": "long good", "two": "bad", "three": "same", "four": "odd", "five": "mute"}
BASE = {"one": "bad", "two": "good", "three": "same", "four": "peculiar", "five": "silent"}


def judge(messages, sampling, sample):  # type: ignore[no-untyped-def]
    """Prefers ``good``; always picks the first of odd ones; says nothing usable about mute ones."""
    text = messages[-1].content
    first, second = (text.split(f"<answer_{name}>")[1].split("</")[0].strip() for name in "ab")
    if "mute" in text:
        return "I would rather not say."
    if "odd" in text:
        return "[[A]]"
    assert first != second, "equal answers are never shown"
    return "[[A]]" if "good" in first else "[[B]]"


async def test_wins_ties_losses_and_what_cannot_be_read_are_counted(make_llm: MakeLLM, tmp_path: Path) -> None:
    metrics = await win_rate(
        ROWS,
        tmp_path,
        model=make_llm(STUDENT),
        baseline=make_llm(BASE, name="base"),
        judge=make_llm(judge, name="judge"),
    )
    # one: win; two: loss; three: equal answers, a tie; four: contradicts itself, a tie; five: unparsed.
    counts = {name: metrics[name] for name in ("wins", "losses", "ties", "unparsed", "n")}
    assert counts == {"wins": 1, "losses": 1, "ties": 2, "unparsed": 1, "n": 4}
    assert metrics["win_rate"] == 0.5
    assert metrics["winning_score"] == 1.0
    assert metrics["stderr"] == 0.2041  # points 1, 0, 1/2, 1/2: sample variance 1/6, error sqrt(1/24)
    assert metrics["order_consistency"] == 0.6667  # of one, two and four
    assert metrics["length_difference"] == 0.0  # (+6 - 1 + 0 - 5) / 4
    outcomes = [json.loads(line)["outcome"] for line in (tmp_path / "judgements.jsonl").read_text().splitlines()]
    assert outcomes == ["win", "loss", "tie", "tie", "unparsed"]


async def test_without_a_baseline_the_rows_own_answers_are_the_reference(make_llm: MakeLLM, tmp_path: Path) -> None:
    rows = [instruction("one", "bad"), Record(prompt=instruction("two").prompt)]
    model, teacher = make_llm(STUDENT), make_llm(judge, name="judge")
    metrics = await win_rate(rows, tmp_path, model=model, judge=teacher)
    assert metrics["win_rate"] == 1.0
    assert metrics["failures"] == {"no_reference": 1}
    with pytest.raises(ConfigError, match="no baseline"):
        await win_rate(rows[1:], tmp_path, model=model, judge=teacher)


async def test_failed_requests_are_left_out_and_named(make_llm: MakeLLM, tmp_path: Path) -> None:
    failing = {**BASE, "two": LLMError("timeout", "no reply")}
    model, teacher = make_llm(STUDENT), make_llm(judge, name="judge")
    base = make_llm(failing, name="base")
    metrics = await win_rate(ROWS, tmp_path, model=model, baseline=base, judge=teacher)
    assert metrics["failures"] == {"timeout": 1}
    assert metrics["n"] == 3


async def test_a_judge_that_is_down_is_an_error_and_no_draw(make_llm: MakeLLM, tmp_path: Path) -> None:
    def down(messages, sampling, sample):  # type: ignore[no-untyped-def]
        return LLMError("http_503", "down")

    model, base = make_llm(STUDENT), make_llm(BASE, name="base")
    with pytest.raises(StageError, match="judge_http_503"):
        await win_rate(ROWS[:2], tmp_path, model=model, baseline=base, judge=make_llm(down, name="judge"))
