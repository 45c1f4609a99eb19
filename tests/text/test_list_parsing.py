"""Parsers of replies about several answers."""

from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datagen.text.parsing import ranking, ratings

TWO = "Answer 1\nReason: fine.\nRating: 4\n\nAnswer 2\nReason: poor.\nRating: 2"


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (TWO, [4, 2]),
        ("Answer 2\nRating: 2\nAnswer 1\nRating: 4", [4, 2]),
        ("**Answer 1**\n**Rating:** 4\n## Answer 2\nRating: 2/5", [4, 2]),
        ("Answer 1: Rating: 4\nAnswer 2: Rating: 2.5", [4, 2.5]),
        ("Sure, here they are.\n\n" + TWO + "\n\nI hope this helps.", [4, 2]),
        (TWO + "\nAnswer 3\nRating: 5", None),
        ("Answer 1\nRating: 4\nRating: 4\nAnswer 2\nRating: 2", [4, 2]),
        ("Answer 1\nRating: 4\nRating: 5\nAnswer 2\nRating: 2", None),
        ("Answer 1\nRating: 4", None),
        ("Answer 1\nRating: 4\nAnswer 3\nRating: 2", None),
        ("Answer 1\nRating: 7\nAnswer 2\nRating: 2", None),
        ("Answer 1\nRating: 0\nAnswer 2\nRating: 2", None),
        ("Answer 1\nRating: 4/10\nAnswer 2\nRating: 2", None),
        ("Answer 1\nRating: N/A\nAnswer 2\nRating: 2", None),
        ("Answer 1\nRating: 10\nAnswer 2\nRating: 1", None),
        ("Answer (its number)\nReason: (one or two sentences)\nRating: (a whole number from 1 to 5)", None),
        ("Rating: 4\nRating: 2", None),
        ("4\n2", None),
        ("", None),
    ],
)
def test_ratings_are_those_that_each_answer_has(text: str, found: list[float] | None) -> None:
    assert ratings(text, 2) == found


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("B is best.\n[[B > A > C]]", [[1], [0], [2]]),
        ("[[B > A = C]]", [[1], [0, 2]]),
        ("[[A = B = C]]", [[0, 1, 2]]),
        ("[[C>B>A]]", [[2], [1], [0]]),
        ("[B > A > C]", [[1], [0], [2]]),
        ("For instance: [[B > A = C]]. So: [[A > B > C]]", [[0], [1], [2]]),
        ("[[A > B]]", None),
        ("[[A > B > B]]", None),
        ("[[A > B > D]]", None),
        ("[[A > B > C > D]]", None),
        ("[[A > B > C", None),
        ("A > B > C", None),
        ("[[]]", None),
        ("", None),
    ],
)
def test_a_ranking_names_each_answer_once(text: str, found: list[list[int]] | None) -> None:
    assert ranking(text, 3) == found


@given(st.text() | st.from_regex(r"(Answer \d|Rating: \d|\[\[A [>=] B\]\]|\n)*"), st.integers(1, 4))
def test_no_text_breaks_them_and_what_is_found_is_complete(text: str, count: int) -> None:
    if (found := ratings(text, count)) is not None:
        assert len(found) == count
        assert all(1 <= value <= 5 for value in found)
    if (groups := ranking(text, count)) is not None:
        assert sorted(place for group in groups for place in group) == list(range(count))


@pytest.mark.parametrize("piece", ["Answer 1\n", "rating", "Rating: ", "[[A ", "A > ", "[[A > B", " ", "\n", "*"])
def test_a_million_characters_take_linear_time(piece: str) -> None:
    text = piece * (1_000_000 // len(piece))
    started = time.process_time()
    ratings(text, 2)
    ranking(text, 2)
    assert time.process_time() - started < 5
