from __future__ import annotations

import json
import logging
import math
import random
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest

import datagen
from datagen import aside, findings
from datagen.errors import ConfigError, LLMError
from datagen.filters.grade import grade
from datagen.llm.base import Reply, Sampling, TokenLogprob
from datagen.llm.client import LLM
from datagen.llm.scripted import Function
from datagen.record import Answer, Message, Record, instruction
from datagen.report.show import print_outcome

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
    return await kept_and_dropped(rows, llm, **options)


async def kept_and_dropped(rows: Iterable[Record], llm: LLM, **options: Any) -> list[Record]:
    return [record async for record in grade(rows, llm=llm, rng=random.Random(0), **options)]


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
    found = await kept_and_dropped([instruction("Q")], opened)
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
    (found,) = await kept_and_dropped([record], llm(by_answer))
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


REPLIES = {
    "good": "accuracy: 5\n**Quality**: 4.5/5\ncomplexity: 3\n\nAccuracy is fine.",
    "fair": "Here you go.\naccuracy: 3\nquality: 4\ncomplexity: 4.5",
    "poor": "complexity: 1\nquality: 1\naccuracy: 2",
    "short": "accuracy: 5\nquality: 4",
    "echo": "accuracy: (number)\nquality: (number)\ncomplexity: (number)",
    "twice": "accuracy: 5\nquality: 4\ncomplexity: 3\n\naccuracy: 2",
    "scale": "accuracy: 8/10\nquality: 4\ncomplexity: 3",
}


def by_rubrics(messages: Sequence[Message], sampling: Sampling, sample: int) -> Reply:
    text = messages[-1].content
    answer = next((one for one in [*REPLIES, "cut"] if f"\n{one}\n" in text), "")
    return Reply("accuracy: 5\nquality: 4\ncomplexity: 4", "length") if answer == "cut" else Reply(REPLIES[answer])


RUBRICS = ("accuracy", "quality", "complexity")


async def test_several_rubrics_are_one_request_and_the_first_decides(llm: Open) -> None:
    opened = llm(by_rubrics)
    found = await graded(opened, "good", "fair", "poor", rubrics=RUBRICS)
    assert opened.stats.calls == 3
    assert reasons(found) == [None, "grade:low_score", "grade:low_score"]
    assert found[0].answers[0].scores == {"accuracy": 5, "quality": 4.5, "complexity": 3}
    assert found[0].answers[0].notes == {"accuracy": REPLIES["good"]}


@pytest.mark.parametrize(
    ("by", "best", "score"), [("complexity", "fair", 4.5), ("product", "good", 67.5), ("mean", "good", 4.1667)]
)
async def test_by_says_which_rubric_decides(llm: Open, by: str, best: str, score: float) -> None:
    found = await graded(llm(by_rubrics), "good", "fair", "poor", rubrics=RUBRICS, by=by, keep_top=0.34)
    (kept,) = [record for record in found if not record.dropped]
    assert kept.answer == best
    assert kept.answers[0].scores[by] == score


@pytest.mark.parametrize("answer", ["short", "echo", "twice", "scale"])
async def test_a_reply_that_lacks_a_rubric_gives_no_score_at_all(llm: Open, answer: str) -> None:
    (found,) = await graded(llm(by_rubrics), answer, rubrics=RUBRICS)
    assert reasons([found]) == ["grade:unparsed"]
    assert found.dropped is not None
    assert found.dropped.evidence == {"raw": REPLIES[answer]}
    assert found.answers[0].scores == {}


async def test_the_last_number_of_a_reply_that_was_cut_is_not_believed(llm: Open) -> None:
    found = await graded(llm(by_rubrics), "cut", rubrics=RUBRICS)
    assert reasons(found) == ["grade:truncated"]


async def test_a_pack_whose_model_knows_one_rubric_is_not_asked_for_several(llm: Open) -> None:
    opened = llm(by_rubrics)
    opened.pack = "tiny"
    with pytest.raises(ConfigError, match="cannot grade several rubrics"):
        await graded(opened, "good", rubrics=RUBRICS)
    assert opened.stats.calls == 0


async def test_grading_again_takes_the_mean_and_keeps_how_far_the_replies_differ(llm: Open) -> None:
    opened = llm(lambda messages, sampling, sample: Reply(f"{[5, 4, 3][sample]}\nat {sampling.temperature}"))
    (found,) = await graded(opened, "good", times=3, temperature=0.7, min_score=4)
    assert opened.stats.calls == 3
    assert found.dropped is None
    assert found.answers[0].scores == {"accuracy": 4, "accuracy_std": 1}
    assert found.answers[0].notes["accuracy"] == "5\nat 0.7\n\n4\nat 0.7\n\n3\nat 0.7"


async def test_one_unreadable_reply_of_several_leaves_no_score(llm: Open) -> None:
    opened = llm(lambda messages, sampling, sample: Reply("4" if sample else "what?"))
    (found,) = await graded(opened, "good", times=2, temperature=1)
    assert reasons([found]) == ["grade:unparsed"]


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"times": 3}, "set temperature"),
        ({"times": 0}, "not 1 or more"),
        ({"by": "accuracy"}, "nothing without rubrics"),
        ({"rubrics": ("accuracy",), "by": "qualtiy"}, "allowed: accuracy, mean, product"),
        ({"rubrics": ("accuracy",), "expected": True}, "takes a rubric"),
        ({"keep_top": 0.0}, "not a share"),
    ],
)
async def test_settings_that_cannot_be_are_one_line(llm: Open, options: dict[str, Any], what: str) -> None:
    with pytest.raises(ConfigError, match=what):
        await graded(llm(by_answer), "good", **options)


@pytest.mark.parametrize("limit", [{"min_score": 4.5}, {"keep_top": 0.4}])
async def test_the_control_is_as_large_as_what_was_kept_and_drawn_from_all_answered_rows(
    llm: Open, limit: dict[str, float]
) -> None:
    answers = ["good", "poor", "fair", "poor", "odd"] * 8
    drawn: list[tuple[str, Record]] = []
    with aside.collecting(lambda part, record: drawn.append((part, record))), findings.collecting() as metrics:
        found = await graded(llm(by_answer), *answers, **limit)
    kept = [record for record in found if not record.dropped]
    assert len(drawn) == len(kept) > 10
    assert {part for part, _ in drawn} == {"random"}
    rows = [record for _, record in drawn]
    assert not any(record.dropped for record in rows)
    assert {record.answer for record in rows} == {"good", "poor", "fair", "odd"}
    places = [int(record.instruction[1:]) for record in rows]
    assert places == sorted(set(places))
    assert metrics["accuracy"] == {**dict.fromkeys(HALVES, 0), "2": 16, "4.5": 8, "5": 8}


HALVES = [f"{half / 2:g}" for half in range(11)]


def test_a_pipeline_reads_the_control_by_name_and_keeps_the_histogram(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    rows = [{"instruction": f"Say {n}", "output": str(n)} for n in range(30)]
    (tmp_path / "data.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    document = {
        "name": "control",
        "llms": {"teacher": {"use": "scripted", "replies": [str(n % 6) for n in range(30)], "concurrency": 1}},
        "stages": {
            "data": {"use": "sources.jsonl", "path": str(tmp_path / "data.jsonl")},
            "graded": {"use": "filters.grade", "llm": "teacher", "keep_top": 0.2},
            "chance": {"use": "filters.length", "from": "graded.random"},
        },
    }
    outcome = datagen.run(document, root=tmp_path / "runs")
    assert outcome.results["graded"].kept == 6
    assert outcome.results["graded"].parts == {"random": 6}
    stored = json.loads((outcome.folders["graded"] / "stage.json").read_text())
    assert stored["metrics"]["accuracy"] == {**dict.fromkeys(HALVES, 0), **dict.fromkeys("012345", 5)}
    print_outcome(outcome)
    shown = capsys.readouterr().out
    assert "graded (filters.grade)" in shown
    assert "4.5" in shown
    assert outcome.results["chance"].kept == 6
    again = datagen.run(document, root=tmp_path / "again")
    named = [(run.folders["chance"] / "rows.jsonl").read_bytes() for run in (outcome, again)]
    assert named[0] == named[1]
