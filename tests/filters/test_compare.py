from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path

from datagen.filters.compare import compare
from datagen.llm.base import Sampling
from datagen.llm.client import LLM
from datagen.llm.scripted import Function
from datagen.record import Answer, Message, Record
from datagen.stage import PromptName

Open = Callable[[Function], LLM]


def pair(first: str, second: str) -> Record:
    return Record((Message("user", "Q"),), (Answer(first), Answer(second)))


def fair(messages: Sequence[Message], sampling: Sampling, sample: int) -> str:
    """Prefers the answer that says good, wherever it stands."""
    text = messages[-1].content
    good_first = "good" in text.split("Answer A:")[1].split("Answer B:")[0]
    return "Reasons. [[A]]" if good_first else "Reasons. [[B]]"


def reason(record: Record) -> str | None:
    return record.dropped.reason if record.dropped else None


async def test_the_better_answer_comes_first(llm: Open) -> None:
    (found,) = await compare(pair("bad", "good"), llm=llm(fair))
    assert [answer.content for answer in found.answers] == ["good", "bad"]
    assert [answer.scores for answer in found.answers] == [{"judge": 1.0}, {"judge": 0.0}]
    assert found.parents == (pair("bad", "good").id,)


async def test_the_difference_in_length_is_the_winner_s(llm: Open) -> None:
    (turned,) = await compare(pair("bad and long", "good"), llm=llm(fair))
    (straight,) = await compare(pair("good, and long", "bad"), llm=llm(fair))
    assert [found.labels["length_difference"] for found in (turned, straight)] == [-2, 2]


async def test_a_pair_in_the_right_order_keeps_its_id(llm: Open) -> None:
    (found,) = await compare(pair("good", "bad"), llm=llm(fair))
    assert found.id == pair("good", "bad").id
    assert reason(found) is None


async def test_a_judge_that_likes_the_first_place_has_called_a_tie(llm: Open) -> None:
    (found,) = await compare(pair("one", "two"), llm=llm(lambda *_: "[[A]]"))
    assert reason(found) == "compare:tie"


async def test_no_verdict_is_not_a_tie(llm: Open) -> None:
    (found,) = await compare(pair("one", "two"), llm=llm(lambda *_: "Hard to say."))
    assert reason(found) == "compare:unparsed"
    assert found.dropped is not None
    assert found.dropped.evidence == {"raw": ["Hard to say."] * 2}


async def test_what_is_no_pair_is_not_judged(llm: Open) -> None:
    opened = llm(fair)
    (same,) = await compare(pair("one", "one"), llm=opened)
    (single,) = await compare(Record((Message("user", "Q"),), (Answer("x"),)), llm=opened)
    assert (reason(same), reason(single)) == ("compare:identical", "compare:not_two")
    assert opened.stats.calls == 0


def pointwise(folder: Path) -> PromptName:
    path = folder / "judge.j2"
    path.write_text("---\nlayout: pointwise\ngrade: grade/accuracy\n---\n@@ user\nunused\n")
    return PromptName(str(path))


def scores(messages: Sequence[Message], sampling: Sampling, sample: int) -> str:
    text = messages[-1].content
    return next(
        score
        for answer, score in {"best": "5", "good": "4", "bad": "1", "worse": "0"}.items()
        if f"\n{answer}\n" in text
    )


async def test_the_pointwise_layout_compares_two_grades(llm: Open, tmp_path: Path) -> None:
    (found,) = await compare(pair("bad", "good"), llm=llm(scores), prompt=pointwise(tmp_path))
    assert [(answer.content, answer.scores["judge"]) for answer in found.answers] == [("good", 4), ("bad", 1)]


async def test_the_better_of_two_wrong_answers_is_not_good_enough(llm: Open, tmp_path: Path) -> None:
    (found,) = await compare(pair("bad", "worse"), llm=llm(scores), prompt=pointwise(tmp_path), min_score=4)
    assert reason(found) == "compare:low_score"


async def test_a_small_gap_is_a_tie(llm: Open, tmp_path: Path) -> None:
    (found,) = await compare(pair("best", "good"), llm=llm(scores), prompt=pointwise(tmp_path), min_gap=2)
    assert reason(found) == "compare:tie"
