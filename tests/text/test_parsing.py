from __future__ import annotations

import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datagen.errors import ConfigError
from datagen.text.parsing import (
    SCORES,
    Instance,
    choose,
    find_score_first,
    instances,
    numbered_list,
    score_first,
    score_last,
    verdict,
    yes_no,
)


@pytest.mark.parametrize(
    ("text", "items"),
    [
        ("9. Name a bird.\n10. Add 2 and 3.", ["Name a bird.", "Add 2 and 3."]),
        ("Name a bird.\n10. Add 2 and 3.", ["Name a bird.", "Add 2 and 3."]),
        ("Sure! Here they are:\n\n9. One task\n10. Two tasks\n\nI hope this helps.", ["One task", "Two tasks"]),
        ("Here you go:\n1. One\n2. Two", ["One", "Two"]),
        ("9) One\n10) Two", ["One", "Two"]),
        ("**9.** One\n**10.** Two", ["One", "Two"]),
        ("Task 9: One\nTask 10: Two", ["One", "Two"]),
        ("1. One\n1. Two\n1. Three", ["One", "Two", "Three"]),
        ("9. One\n11. Two\n12. Three", ["One", "Two", "Three"]),
        ("9. What happened in\n2016. And why?\n10. Two", ["What happened in 2016. And why?", "Two"]),
        ("9. Sort these:\n1. pear\n2. fig\n10. Two", ["Sort these: 1. pear 2. fig", "Two"]),
        ("9. Round 3.5 up\n10. Say what 2. means", ["Round 3.5 up", "Say what 2. means"]),
        ("9. One\n\n10. Two\n\n11. Three", ["One", "Two", "Three"]),
        ("9. One\n10.", ["One"]),
        ("40. One\n7. Two\n3. Three", ["One", "Two", "Three"]),
        ("40. One\n\n7. Two\n\n3. Three", ["One", "Two", "Three"]),
        ("9. Sort:\n1. pear\n2. fig\nAnd then:\n1. kiwi\n5. Two", ["Sort: 1. pear 2. fig And then: 1. kiwi", "Two"]),
        ("9、写一首诗\n10、翻译这句话", ["写一首诗", "翻译这句话"]),
        ("9. اكتب قصيدة\n10. ترجم", ["اكتب قصيدة", "ترجم"]),
        ("", []),
        ("I cannot help with that.", []),
    ],
)
def test_a_numbered_list_is_read_by_its_structure(text: str, items: list[str]) -> None:
    assert numbered_list(text, start=9) == items


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Output: Red", [Instance("", "Red")]),
        ("Input: hot\nOutput: cold", [Instance("hot", "cold")]),
        ("Input: None\nOutput: cold", [Instance("", "cold")]),
        (
            "Example 1\nInput: hot\nOutput: cold\n\nExample 2\nInput: up\nOutput: down",
            [Instance("hot", "cold"), Instance("up", "down")],
        ),
        ("Input: hot\nOutput: cold\nInput: up\nOutput: down", [Instance("hot", "cold"), Instance("up", "down")]),
        ("**Input:** hot\n**Output:** cold", [Instance("hot", "cold")]),
        ("Input 1: hot\nOutput 1: cold", [Instance("hot", "cold")]),
        ("Input:\ntwo\nlines\nOutput:\nmore\nlines", [Instance("two\nlines", "more\nlines")]),
        ("Of course.\nOutput: the ratio Input: 3", [Instance("", "the ratio Input: 3")]),
        ("Output: one\nFor Example this.", [Instance("", "one\nFor Example this.")]),
        ("Input: hot", []),
        ("The answer is cold.", []),
        ("Output:", [Instance("", "")]),
        ("", []),
    ],
)
def test_instances_are_read_from_their_fields(text: str, found: list[Instance]) -> None:
    assert instances(text) == found


@pytest.mark.parametrize(
    ("text", "score"),
    [
        ("4.5\nGood.", 4.5),
        ("  3\n", 3),
        ("**4**\nFine", 4),
        ("Score: 2.5\nMeh", 2.5),
        ("4/5\nFine", 4),
        ("5.", 5),
        ("4,5\ngut", 4.5),
        ("4: right but short", 4),
        ("4 - right but short", 4),
        ("The answer is right.\nScore: 4", 4),
        ("The score is 3.", 3),
        ("١\n", 1),
        ("10", None),
        ("8/10", None),
        ("-1", None),
        ("45\nno", None),
        ("2 of the facts are wrong", None),
        ("1. The first point\n2. The second", None),
        ("No idea", None),
        ("", None),
        ("nan", None),
        ("4.5.6", None),
        ("1, 2 or 3", None),
        ("0-5", None),
        ("0 - 5\nis the scale", None),
    ],
)
def test_the_score_comes_from_the_first_line_or_its_name(text: str, score: float | None) -> None:
    assert score_first(text) == score


def test_the_score_says_where_it_stands() -> None:
    found = find_score_first("\n Well.\nscore: 4")
    assert found is not None
    assert "\n Well.\nscore: 4"[found.start] == "4"


@pytest.mark.parametrize(
    ("text", "score"),
    [
        ("The answer is 7.\nScore: 4", 4),
        ("Score: 1 would be unfair.\nScore: 4", 4),
        ("Fine.\n4", 4),
        ("Fine.\n\n**3.5**\n", 3.5),
        ("Fine, 4 of them.", None),
        ("", None),
    ],
)
def test_the_last_score_counts_where_reasons_come_first(text: str, score: float | None) -> None:
    assert score_last(text) == score


@pytest.mark.parametrize(
    ("text", "winner"),
    [
        ("A is right. [[A]]", "first"),
        ("[[B]]", "second"),
        ("Both. [[C]]", "tie"),
        ("Not [[A]] but [[B]]", "second"),
        ("First [[A]], then [[B]].\nIn the end: [[C]]", "tie"),
        ("[[A]] if A is better, [[B]] if B is, [[C]] if they are equal.", None),
        ("so [A]", "first"),
        ("[b]", "second"),
        ("A wins", None),
        ("[[D]]", None),
        ("[[A", None),
        ("", None),
    ],
)
def test_a_verdict_is_its_last_tag(text: str, winner: str | None) -> None:
    assert verdict(text) == winner


def test_an_unknown_parser_is_an_error_that_lists_those_allowed() -> None:
    with pytest.raises(ConfigError, match="'verdict' does not fit here; allowed: score_first, score_last"):
        choose("verdict", SCORES, where="grade/x")


@pytest.mark.parametrize("piece", ["1. ", "Output: ", "[[", " ", "\n", "score: ", "9", "*", "Example 1 ", "score " * 3])
def test_a_million_characters_take_linear_time(piece: str) -> None:
    text = piece * (1_000_000 // len(piece))
    start = time.process_time()
    for parse in (numbered_list, instances, score_first, score_last, verdict):
        parse(text)
    assert time.process_time() - start < 5


@given(st.text())
def test_no_text_breaks_a_parser(text: str) -> None:
    numbered_list(text)
    instances(text)
    verdict(text)
    for score in (score_first(text), score_last(text)):
        assert score is None or 0 <= score <= 5


@given(st.lists(st.text(alphabet="abc 好é.", min_size=1).map(lambda s: " ".join(f"x{s}".split())), max_size=20))
def test_a_well_formed_list_comes_back_whole(items: list[str]) -> None:
    assert numbered_list("\n".join(f"{n}. {item}" for n, item in enumerate(items, 9)), start=9) == items


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Yes", True),
        ("no", False),
        (" **Yes.**", True),
        ("Answer: No, it is not.", False),
        ("Yes\nBecause it lists labels.", True),
        ("No - it is free text", False),
        ("No problem! It is one.", None),
        ("Yesterday", None),
        ("I would say yes.", None),
        ("", None),
        (" " * 1_000_000, None),
    ],
)
def test_yes_or_no_is_what_a_reply_begins_with(text: str, said: bool | None) -> None:
    assert yes_no(text) is said
