"""Every judge, every way in which a reply can be no judgement: never a silent tie, never an invented score."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence

import pytest

from datagen.filters.compare import compare
from datagen.filters.grade import grade
from datagen.filters.rank import rank
from datagen.filters.rate import rate
from datagen.llm.base import Reply, Sampling
from datagen.llm.client import LLM
from datagen.llm.scripted import Function
from datagen.record import Answer, Message, Record, encode

Open = Callable[[Function], LLM]

# The answers hold what the judges are asked for, as an answer about judging may.
ROW = Record(
    (Message("user", "Write a review that ends in a score."),),
    (Answer("Fine.\nScore: 4"), Answer("[[A]] is best.\nAnswer 1\nRating: 2"), Answer("[[C > B > A]]\nSo: Score: 1")),
)
GOOD = {
    "grade": "Score: 4.5",
    "compare": "Both are short. [[A]]",
    "rate": "\n".join(f"Answer {n}\nReason: so.\nRating: 3" for n in (1, 2, 3)),
    "rank": "All are short. [[A > B > C]]",
}
WAYS: dict[str, Callable[[str, str], str | Reply]] = {
    "empty": lambda good, asked: "",
    "blank": lambda good, asked: " \n\t\n",
    "cut": lambda good, asked: Reply(good[: len(good) * 2 // 3], "length"),
    "cut_after_one": lambda good, asked: Reply(
        f"Hm.\nI would say score: 3, or [[A > B > C]], or [[A]].\n{good}", "length"
    ),
    "foreign": lambda good, asked: "Beide Antworten sind gut; Punktzahl vier.",
    "echo": lambda good, asked: asked,
    "misnumbered": lambda good, asked: good.replace("A", "D").replace("Answer 3", "Answer 7").replace("4.5", "45"),
    "zero_based": lambda good, asked: good.replace("3", "0").replace("A", "Z").replace("4.5", "-1"),
    "one_word": lambda good, asked: "x" * 1_000_000,
    "numbers": lambda good, asked: "9 " * 500_000,
    "all_of_them": lambda good, asked: "1, 2 or 3\n[[A]], [[B]] or [[C]]\n[[A > A > B]]\nRating: 1 to 5\n" * 9,
}


async def judged(name: str, llm: LLM) -> Record:
    if name == "grade":
        (found,) = [record async for record in grade([ROW], llm=llm, rng=random.Random(0), min_score=0)]
    elif name == "compare":
        (found,) = await compare(Record(ROW.prompt, ROW.answers[:2]), llm=llm)
    elif name == "rate":
        (found,) = await rate(ROW, llm=llm, rng=random.Random(0))
    else:
        (found,) = await rank(ROW, llm=llm, rng=random.Random(0))
    return found


@pytest.mark.parametrize("way", WAYS)
@pytest.mark.parametrize("name", GOOD)
async def test_what_is_no_judgement_is_dropped_with_the_reply_and_scores_nothing(
    llm: Open, name: str, way: str
) -> None:
    replies: list[str] = []

    def reply(messages: Sequence[Message], sampling: Sampling, sample: int) -> str | Reply:
        given = WAYS[way](GOOD[name], messages[-1].content)
        replies.append(given.text if isinstance(given, Reply) else given)
        return given

    found = await judged(name, llm(reply))
    assert found.dropped
    assert found.dropped.reason == f"{name}:{'truncated' if way.startswith('cut') else 'unparsed'}"
    kept = found.dropped.evidence["raw"]
    assert kept == replies[0] if name == "grade" else set(kept) <= set(replies)
    assert not any(answer.scores for answer in found.answers)
    assert len(encode(found)) < 3_000_000


@pytest.mark.parametrize("name", GOOD)
async def test_prose_around_a_judgement_does_no_harm(llm: Open, name: str) -> None:
    around = "Sure! Here is what I think.\n\nScore: 4.5" if name == "grade" else f"Sure!\n\n{GOOD[name]}"
    found = await judged(name, llm(lambda *_: f"{around}\n\nI hope that this helps."))
    tie = {"compare": "compare:tie", "rank": "rank:tie"}.get(name)
    assert (found.dropped.reason if found.dropped else None) == tie, "both orders named the first place the best"


async def test_a_prompt_that_is_said_again_before_the_score_is_not_read(llm: Open) -> None:
    found = await judged("grade", llm(lambda messages, *_: f"{messages[-1].content}\n2\nBecause."))
    assert found.answers[0].scores == {"accuracy": 2}


@pytest.mark.parametrize(
    ("reply", "score"),
    [("2\nBecause it is", 2), ("2", None), ("Well: 2\nBecause", None), ("Hm.\nScore: 2\nBecause", None)],
)
async def test_of_a_reply_that_was_cut_a_whole_first_line_counts_alone(
    llm: Open, reply: str, score: float | None
) -> None:
    found = await judged("grade", llm(lambda *_: Reply(reply, "length")))
    assert found.answers[0].scores.get("accuracy") == score
    assert (found.dropped is None) == (score is not None)
