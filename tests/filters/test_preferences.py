"""From K answers to a preference pair: rate, rank, binarise."""

from __future__ import annotations

import random
import re
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from datagen.errors import ConfigError, LLMError
from datagen.filters.binarise import binarise
from datagen.filters.rank import rank
from datagen.filters.rate import rate
from datagen.llm.base import Reply, Sampling
from datagen.llm.client import LLM
from datagen.llm.scripted import Function
from datagen.record import Answer, Message, Record
from datagen.stage import PromptName

Open = Callable[[Function], LLM]
WORTH = {"superb": 5, "good": 4, "fair": 3, "poor": 1}


def several(*answers: str) -> Record:
    return Record((Message("user", "Q"),), tuple(map(Answer, answers)))


def reason(record: Record) -> str | None:
    return record.dropped.reason if record.dropped else None


def shown(messages: Sequence[Message]) -> list[str]:
    """The answers in the order in which the judge sees them."""
    return re.findall(r"<answer [^>]*>\n(.*?)\n</answer>", messages[-1].content)


def rates(messages: Sequence[Message], sampling: Sampling, sample: int) -> str:
    return "\n".join(f"Answer {n}\nReason: so.\nRating: {WORTH[text]}" for n, text in enumerate(shown(messages), 1))


def ranks(messages: Sequence[Message], sampling: Sampling, sample: int) -> str:
    order = sorted(zip(shown(messages), "ABCDEF", strict=False), key=lambda one: -WORTH[one[0]])
    return f"Reasons. [[{' > '.join(name for _, name in order)}]]"


async def test_every_answer_is_rated_on_every_aspect_whatever_order_the_judge_saw(llm: Open) -> None:
    orders: list[list[str]] = []

    def watched(messages: Sequence[Message], sampling: Sampling, sample: int) -> str:
        orders.append(shown(messages))
        return rates(messages, sampling, sample)

    record = several("poor", "superb", "good")
    (found,) = await rate(record, llm=llm(watched), rng=random.Random(0))
    aspects = ["instruction_following", "honesty", "truthfulness", "helpfulness", "rating"]
    assert [answer.scores for answer in found.answers] == [
        dict.fromkeys(aspects, WORTH[a.content]) for a in found.answers
    ]
    assert found.id == record.id
    assert "Rating: 5" in found.answers[0].notes["honesty"]
    assert len(orders) == 4
    assert len({tuple(order) for order in orders}) > 1


async def test_the_rating_is_the_mean_of_the_aspects(llm: Open) -> None:
    def by_aspect(messages: Sequence[Message], sampling: Sampling, sample: int) -> str:
        return "Answer 1\nRating: 2" if "its honesty" in messages[-1].content else "Answer 1\nRating: 5"

    (found,) = await rate(several("x"), llm=llm(by_aspect), rng=random.Random(0), aspects=("honesty", "helpfulness"))
    assert found.answers[0].scores == {"honesty": 2, "helpfulness": 5, "rating": 3.5}


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        ("", "rate:unparsed"),
        ("Answer 1\nRating: 4", "rate:unparsed"),
        ("Answer 1\nRating: 4\nAnswer 2\nRating: 9", "rate:unparsed"),
        (Reply("Answer 1\nRating: 4\nAnswer 2\nRating: 3", "length"), "rate:truncated"),
    ],
)
async def test_a_rating_is_never_made_up(llm: Open, reply: str | Reply, why: str) -> None:
    (found,) = await rate(several("a", "b"), llm=llm(lambda *_: reply), rng=random.Random(0))
    assert reason(found) == why
    assert found.dropped is not None
    assert found.dropped.evidence["raw"] == [reply.text if isinstance(reply, Reply) else reply]
    assert found.dropped.evidence["aspect"] == "instruction_following"


async def test_no_answer_is_not_rated_and_an_unknown_aspect_is_the_user_s_mistake(llm: Open) -> None:
    (found,) = await rate(several(), llm=llm(rates), rng=random.Random(0))
    assert reason(found) == "rate:no_answer"
    with pytest.raises(ConfigError, match="aspects"):
        await rate(several("good"), llm=llm(rates), rng=random.Random(0), aspects=("beauty",))
    with pytest.raises(ConfigError, match="name at least one"):
        await rate(several("good"), llm=llm(rates), rng=random.Random(0), aspects=())


async def test_a_ranking_puts_the_best_first(llm: Open) -> None:
    record = several("poor", "superb", "good")
    (found,) = await rank(record, llm=llm(ranks), rng=random.Random(0))
    assert [(answer.content, answer.scores["rank"]) for answer in found.answers] == [
        ("superb", 1.0),
        ("good", 0.5),
        ("poor", 0.0),
    ]
    assert found.parents == (record.id,)
    assert found.labels == {"rank_agreement": 1.0, "length_difference": 0}


async def test_a_ranking_keeps_how_much_longer_the_best_is_than_the_worst(llm: Open) -> None:
    def longest(messages: Sequence[Message], sampling: Sampling, sample: int) -> str:
        order = sorted(zip(shown(messages), "ABC", strict=False), key=lambda one: -len(one[0]))
        return f"[[{' > '.join(name for _, name in order)}]]"

    (found,) = await rank(several("two words", "one", "now three words"), llm=llm(longest), rng=random.Random(0))
    assert found.labels["length_difference"] == 2


async def test_a_record_in_the_right_order_keeps_its_id(llm: Open) -> None:
    record = several("superb", "good", "poor")
    (found,) = await rank(record, llm=llm(ranks), rng=random.Random(0))
    assert (found.id, found.parents) == (record.id, ())


async def test_a_judge_that_goes_by_the_place_has_called_a_tie(llm: Open) -> None:
    (found,) = await rank(several("a", "b", "c"), llm=llm(lambda *_: "[[A > B > C]]"), rng=random.Random(0))
    assert reason(found) == "rank:tie"
    assert found.dropped is not None
    assert found.dropped.evidence["scores"] == [0.5] * 3
    (found,) = await rank(
        several("a", "b", "c"), llm=llm(lambda *_: "[[A > B > C]]"), rng=random.Random(0), min_agreement=0.5
    )
    assert reason(found) == "rank:inconsistent"


async def test_equals_have_equal_scores(llm: Open) -> None:
    def two_best(messages: Sequence[Message], sampling: Sampling, sample: int) -> str:
        poor = "ABC"[shown(messages).index("poor")]
        return f"[[{' = '.join(name for name in 'ABC' if name != poor)} > {poor}]]"

    (found,) = await rank(several("poor", "good", "fair"), llm=llm(two_best), rng=random.Random(0))
    assert [answer.scores["rank"] for answer in found.answers] == [0.75, 0.75, 0.0]


@pytest.mark.parametrize(
    ("reply", "why"),
    [
        ("", "rank:unparsed"),
        ("[[A > B]]", "rank:unparsed"),
        ("[[A > A > B]]", "rank:unparsed"),
        (Reply("[[A > B > C]]", "length"), "rank:truncated"),
    ],
)
async def test_a_ranking_is_never_made_up(llm: Open, reply: str | Reply, why: str) -> None:
    (found,) = await rank(several("a", "b", "c"), llm=llm(lambda *_: reply), rng=random.Random(0))
    assert reason(found) == why


async def test_what_cannot_be_ranked_is_not_asked_about(llm: Open) -> None:
    opened = llm(ranks)
    found = [(await rank(record, llm=opened, rng=random.Random(0)))[0] for record in (several("a"), several("a", "a"))]
    assert list(map(reason, found)) == ["rank:not_several", "rank:identical"]
    assert opened.stats.calls == 0


async def test_answers_with_the_same_text_are_shown_once_and_share_their_score(llm: Open) -> None:
    seen: list[int] = []

    def watched(messages: Sequence[Message], sampling: Sampling, sample: int) -> str:
        seen.append(len(shown(messages)))
        return ranks(messages, sampling, sample)

    (found,) = await rank(several("poor", "good", "poor", "fair"), llm=llm(watched), rng=random.Random(0))
    assert [(answer.content, answer.scores["rank"]) for answer in found.answers] == [
        ("good", 1.0),
        ("fair", 0.5),
        ("poor", 0.0),
        ("poor", 0.0),
    ]
    assert seen == [3, 3]
    (found,) = await rate(several("poor", "good", "poor"), llm=llm(rates), rng=random.Random(0))
    assert [answer.scores["rating"] for answer in found.answers] == [1, 4, 1]


async def test_the_pointwise_layout_grades_each_answer_alone(llm: Open, tmp_path: Path) -> None:
    path = tmp_path / "alone.j2"
    path.write_text("---\nlayout: pointwise\ngrade: grade/accuracy\n---\n@@ user\nunused\n")

    def grades(messages: Sequence[Message], sampling: Sampling, sample: int) -> str | LLMError:
        return next(str(score) for text, score in WORTH.items() if f"\n{text}\n" in messages[-1].content)

    prompt = PromptName(str(path))
    (found,) = await rank(several("poor", "good"), llm=llm(grades), rng=random.Random(0), prompt=prompt)
    assert [answer.scores["rank"] for answer in found.answers] == [4, 1]
    (found,) = await rate(
        several("poor", "good"), llm=llm(grades), rng=random.Random(0), prompt=prompt, aspects=("truthfulness",)
    )
    assert [answer.scores["rating"] for answer in found.answers] == [1, 4]
    (found,) = await rank(several("a", "b"), llm=llm(lambda *_: "hm"), rng=random.Random(0), prompt=prompt)
    assert reason(found) == "rank:unparsed"


def scored(**scores: float) -> Record:
    return Record(
        (Message("user", "Q"),), tuple(Answer(text).scored("rating", score) for text, score in scores.items())
    )


def paired(record: Record, seed: int = 0, **options: Any) -> Record:
    (found,) = binarise([record], rng=random.Random(seed), **options)
    return found


ALL = scored(superb=5, good=4, fair=3, poor=1)


def test_the_best_stands_against_a_random_the_worst_or_the_nearest_that_is_clearly_worse() -> None:
    rejected = Counter(paired(ALL, seed).answers[1].content for seed in range(60))
    assert set(rejected) == {"good", "fair", "poor"}
    assert min(rejected.values()) > 8
    assert [a.content for a in paired(ALL, against="worst").answers] == ["superb", "poor"]
    assert [a.content for a in paired(ALL, against="margin", min_margin=1.5).answers] == ["superb", "fair"]
    assert {paired(ALL, seed, min_margin=1.5).answers[1].content for seed in range(20)} == {"fair", "poor"}


def test_a_pair_names_its_parent_and_keeps_margin_and_length() -> None:
    record = Record(
        (Message("user", "Q"),), (Answer("no").scored("rating", 1), Answer("a much longer one").scored("rating", 4.5))
    )
    found = paired(record)
    assert found.parents == (record.id,)
    assert found.labels == {"margin": 3.5, "length_difference": 3}
    assert [answer.scores["rating"] for answer in found.answers] == [4.5, 1]


def test_a_tie_is_said() -> None:
    twice = Record((Message("user", "Q"),), (*scored(one=4, two=1).answers, Answer("one").scored("rating", 4)))
    assert "tied_best" not in paired(twice).labels
    assert reason(paired(scored(one=4, two=4))) == "binarise:tie"
    found = paired(scored(one=4, two=4, three=1))
    assert found.labels["tied_best"] == 2
    assert {paired(scored(one=4, two=4, three=1), seed).answers[0].content for seed in range(20)} == {"one", "two"}


@pytest.mark.parametrize(
    ("record", "options", "why"),
    [
        (scored(one=4), {}, "binarise:too_few"),
        (several("a", "b"), {}, "binarise:no_score"),
        (scored(one=4, two=3.9), {"min_margin": 0.2}, "binarise:small_margin"),
        (scored(one=4, two=3), {"min_score": 4.5}, "binarise:low_score"),
        (scored(one=4, two=3), {"score": "helpfulness"}, "binarise:no_score"),
    ],
)
def test_what_makes_no_pair_is_dropped_with_the_scores(record: Record, options: dict[str, Any], why: str) -> None:
    assert reason(paired(record, **options)) == why


def test_a_margin_that_floats_miss_by_a_hair_is_met() -> None:
    assert reason(paired(scored(one=1.0, two=0.9), min_margin=0.1)) is None


def test_a_row_s_pair_does_not_hang_on_the_rows_before_it_having_pairs() -> None:
    rng = random.Random(3)
    first = list(binarise([ALL, ALL], rng=rng))
    second = list(binarise([scored(one=4), ALL], rng=random.Random(3)))
    assert first[1] == second[1]


@pytest.mark.parametrize("options", [{"min_margin": -1.0}, {"against": "margin"}])
def test_mistakes_are_refused(options: dict[str, Any]) -> None:
    with pytest.raises(ConfigError, match="min_margin"):
        paired(ALL, **options)
