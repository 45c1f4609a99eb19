from __future__ import annotations

import random
import re
from collections.abc import Callable, Sequence
from typing import Any

import pytest

from datagen import findings
from datagen.errors import ConfigError, LLMError
from datagen.filters.pairing import swiss_pairs
from datagen.filters.tournament import tournament
from datagen.llm.base import Sampling
from datagen.llm.client import LLM
from datagen.llm.scripted import Function
from datagen.record import Message, Record, encode, instruction

Open = Callable[[Function], LLM]


def by_number(messages: Sequence[Message], sampling: Sampling, sample: int) -> str:
    """The judge prefers the greater number."""
    one, two = map(int, re.findall(r"<response_[ab]>\n(\d+)\n", messages[-1].content))
    return "[[C]]" if one == two else "Well. [[A]]" if one > two else "Well. [[B]]"


def always_first(messages: Sequence[Message], sampling: Sampling, sample: int) -> str:
    return "[[A]]"


def examples(count: int) -> list[Record]:
    numbers = random.Random(0).sample(range(1000), count)
    return [instruction(f"Say {number}.", str(number)) for number in numbers]


async def played(llm: LLM, rows: list[Record], **options: Any) -> list[Record]:
    return [record async for record in tournament(rows, llm=llm, rng=random.Random(0), **options)]


async def test_everybody_meeting_everybody_keeps_exactly_the_best(llm: Open) -> None:
    rows, opened = examples(9), llm(by_number)
    found = await played(opened, rows, rounds=None, keep_top=1 / 3)
    assert opened.stats.calls == 9 * 8
    assert [record.id for record in found] == [record.id for record in rows]
    best = sorted(rows, key=lambda row: -int(row.answer))[:3]
    assert {record.answer for record in found if not record.dropped} == {row.answer for row in best}
    top = next(record for record in found if record.answer == best[0].answer)
    assert top.answers[0].notes == {"strength": "won 8, tied 0, lost 0"}
    low = next(record for record in found if record.dropped)
    assert low.dropped is not None
    assert low.dropped.reason == "tournament:low_strength"
    assert low.dropped.evidence["strength"] < low.dropped.evidence["min_strength"]


async def test_a_few_swiss_rounds_nearly_rank_all_for_a_request_a_row_and_round(llm: Open) -> None:
    rows, opened = examples(64), llm(by_number)
    with findings.collecting() as metrics:
        found = await played(opened, rows, rounds=6)
    assert opened.stats.calls == 64 * 6
    middle = sorted(int(row.answer) for row in rows)[32]
    assert sum(int(record.answer) >= middle for record in found if not record.dropped) >= 28
    assert metrics["games"] == 64 * 3
    assert metrics["consistent"] == 1
    assert metrics["strength"]["0 %"] < 0 < metrics["strength"]["100 %"]


async def test_a_judge_that_always_takes_the_first_calls_ties_and_ranks_none(llm: Open) -> None:
    with findings.collecting() as metrics:
        found = await played(llm(always_first), examples(6), rounds=2)
    assert {record.answers[0].scores["strength"] for record in found} == {0.0}
    assert metrics["consistent"] == 0
    assert [bool(record.dropped) for record in found] == [False] * 3 + [True] * 3


async def test_a_game_that_cannot_be_read_does_not_count_and_a_row_without_any_is_dropped_with_its_reply(
    llm: Open,
) -> None:
    def judged(messages: Sequence[Message], sampling: Sampling, sample: int) -> str | LLMError:
        text = messages[-1].content
        return "hm" if "\n7\n" in text else LLMError("http_500", "down") if "\n8\n" in text else "[[C]]"

    rows = [instruction(f"Say {n}.", str(n)) for n in range(9)]
    found = await played(llm(judged), [*rows, instruction("No answer")], rounds=2, keep_top=1.0)
    assert found[7].dropped is not None
    assert found[8].dropped is not None
    assert {found[7].dropped.reason, found[8].dropped.reason} <= {"tournament:unparsed", "tournament:http_500"}
    assert found[7].answers[0].scores == {}
    assert found[9].dropped is not None
    assert found[9].dropped.reason == "tournament:no_answer"
    assert sum(record.dropped is None for record in found) >= 5


async def test_a_pointwise_prompt_grades_each_row_once(llm: Open) -> None:
    opened = llm(lambda messages, sampling, sample: f"Score: {int(messages[-2].content) // 200}")
    opened.pack = "tiny"
    rows = examples(10)
    found = await played(opened, rows, rounds=None)
    assert opened.stats.calls == 10
    kept = [int(record.answer) // 200 for record in found if not record.dropped]
    dropped = [int(record.answer) // 200 for record in found if record.dropped]
    assert min(kept) >= max(dropped)


async def test_the_same_seed_plays_the_same_games(llm: Open) -> None:
    runs = [await played(llm(by_number), examples(20), rounds=2) for _ in range(2)]
    assert list(map(encode, runs[0])) == list(map(encode, runs[1]))


async def test_one_row_has_nobody_to_play_and_no_row_is_no_trouble(llm: Open) -> None:
    (alone,) = await played(llm(by_number), examples(1))
    assert alone.dropped is not None
    assert alone.dropped.reason == "tournament:no_game"
    assert await played(llm(by_number), []) == []


async def test_no_round_is_refused(llm: Open) -> None:
    with pytest.raises(ConfigError, match="rounds: 0"):
        await played(llm(by_number), examples(2), rounds=0)


def test_rows_meet_others_with_as_many_points_and_never_twice() -> None:
    players, points = list(range(7)), [0.0] * 7
    met: list[set[int]] = [set() for _ in players]
    rng = random.Random(0)
    games = set()
    for _ in range(6):
        pairs = swiss_pairs(players, points, met, rng)
        assert {at for pair in pairs for at in pair} == set(players) or len(games) > 14
        for one, two in pairs:
            assert frozenset((one, two)) not in games
            games.add(frozenset((one, two)))
            met[one].add(two)
            met[two].add(one)
            points[max(one, two)] += 1
    first = swiss_pairs([0, 1, 2, 3], [2, 0, 2, 0], [set() for _ in range(4)], rng)
    assert {frozenset(pair) for pair in first} == {frozenset((0, 2)), frozenset((1, 3))}
