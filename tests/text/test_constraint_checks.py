from __future__ import annotations

from typing import Any

import pytest

pytest.importorskip("pycld2")
from datagen.text.constraint_checks import CHECKS, count_sentences
from datagen.text.constraints import Constraint, follows, read_constraints, variants

AT_LEAST, LESS = {"relation": "at least"}, {"relation": "less than"}
GERMAN = "Das Brot wird aus Mehl und Wasser gebacken und schmeckt gut."
ENGLISH = "The bread is baked from flour and water and it tastes good."
# Each: the arguments, responses that follow, responses that do not.
EXAMPLES: dict[str, list[tuple[dict[str, Any], list[str], list[str]]]] = {
    "keywords:existence": [({"keywords": ["sea", "big ship"]}, ["A Big ship at SEA"], ["A ship at sea", "big ship"])],
    "keywords:frequency": [
        ({"keyword": "sea", "frequency": 2, **AT_LEAST}, ["Sea, sea", "sea sea sea"], ["one sea", "none"]),
        ({"keyword": "sea", "frequency": 2, **LESS}, ["one sea", "none"], ["Sea, sea"]),
    ],
    "keywords:forbidden_words": [
        ({"forbidden_words": ["sea", "a.b"]}, ["Seaside", "aXb"], ["The Sea!", "so a.b it is"])
    ],
    "keywords:letter_frequency": [
        ({"letter": "q", "let_frequency": 2, "let_relation": "at least"}, ["Quick quail"], ["quick"]),
        ({"letter": "#", "let_frequency": 1, "let_relation": "less than"}, ["none"], ["# head"]),
    ],
    "language:response_language": [({"language": "de"}, [GERMAN], [ENGLISH, "12 + 3"])],
    "length_constraints:number_sentences": [
        ({"num_sentences": 3, **AT_LEAST}, ["One. Two! Three?"], ["Dr. One. Two", "One. Two."]),
        ({"num_sentences": 3, **LESS}, ["One. Two."], ["One. Two. Three."]),
    ],
    "length_constraints:number_paragraphs": [
        (
            {"num_paragraphs": 2},
            ["One.\n***\nTwo.", "***\nOne.\n***\nTwo.\n***"],
            ["One.\n\nTwo.", "One.\n***\n***\nTwo."],
        )
    ],
    "length_constraints:number_words": [
        ({"num_words": 3, **AT_LEAST}, ["one, two - three"], ["one two"]),
        ({"num_words": 3, **LESS}, ["one two"], ["one two three"]),
    ],
    "length_constraints:nth_paragraph_first_word": [
        (
            {"num_paragraphs": 2, "nth_paragraph": 2, "first_word": "Weekend"},
            ['One.\n\n"Weekend", he said.', "One.\n \nweekend: two."],
            ["One.\n\nWeekends.", "One.\n\nA weekend.", "One.\n\nWeekend.\n\nThree.", "Weekend"],
        )
    ],
    "detectable_content:number_placeholders": [({"num_placeholders": 2}, ["[a] and [b c]"], ["[a]", "[] []", "a b"])],
    "detectable_content:postscript": [
        ({"postscript_marker": "P.S."}, ["Bye.\nP.S. More.", "Bye.\n p. s. More"], ["Bye. More.", "Tips.\nMore."]),
        ({"postscript_marker": "P.P.S"}, ["Bye.\nP.P.S More."], ["Bye.\nP.S. More."]),
    ],
    "detectable_format:number_bullet_lists": [
        (
            {"num_bullets": 2},
            ["* one\n* two", "Some:\n  - one\n  - two"],
            ["* one", "* 1\n* 2\n* 3", "**bold**\n**two**"],
        )
    ],
    "detectable_format:constrained_response": [
        ({}, ["My answer is yes.", "Hm. my answer is maybe."], ["yes.", "My answer is"])
    ],
    "detectable_format:number_highlighted_sections": [
        (
            {"num_highlights": 2},
            ["*one* and **two**", "*a b* *c*"],
            ["*one*", "* one\n* two\n* three", "** **", "2*3*4"],
        )
    ],
    "detectable_format:multiple_sections": [
        (
            {"section_spliter": "SECTION", "num_sections": 2},
            ["SECTION 1\na\nSECTION 2\nb"],
            ["SECTION 1\na", "SECTION\nSECTION"],
        )
    ],
    "detectable_format:json_format": [
        ({}, ['{"a": [1]}', '```json\n{"a": 1}\n```'], ["{a: 1}", 'Here: {"a": 1}', "[" * 9999])
    ],
    "detectable_format:title": [({}, ["<<A title>>\ntext"], ["<A title>", "<< >>", "<<>>"])],
    "combination:two_responses": [
        (
            {},
            ["One.\n******\nTwo.", "******\nOne.\n******\nTwo."],
            ["One.", "a******b******c", "Same.******Same.", "a******"],
        )
    ],
    "combination:repeat_prompt": [({"prompt_to_repeat": "Say it. "}, ["say it. Fine."], ["Fine. Say it."])],
    "startend:end_checker": [({"end_phrase": "The end."}, ["So: the end.", 'So: "The End."\n'], ["The end. Bye."])],
    "startend:quotation": [({}, ['"Yes."', ' "a" and "b" '], ['"Yes.', "Yes.", '"'])],
    "change_case:capital_word_frequency": [
        ({"capital_frequency": 2, "capital_relation": "at least"}, ["NO and NO-ONE"], ["NO No no"]),
        ({"capital_frequency": 1, "capital_relation": "less than"}, ["No 12"], ["NO"]),
    ],
    "change_case:english_capital": [({}, [ENGLISH.upper()], [ENGLISH, GERMAN.upper(), "12"])],
    "change_case:english_lowercase": [({}, [ENGLISH.lower()], [ENGLISH, GERMAN.lower(), "12"])],
    "punctuation:no_comma": [({}, ["a b."], ["a, b."])],
}
CASES = [(name, *case) for name, cases in EXAMPLES.items() for case in cases]


def test_every_instruction_has_examples() -> None:
    assert EXAMPLES.keys() == CHECKS.keys()
    assert len(CHECKS) == 25


@pytest.mark.parametrize(("name", "arguments", "right", "wrong"), CASES)
def test_right_responses_follow_and_wrong_ones_do_not(
    name: str, arguments: dict[str, Any], right: list[str], wrong: list[str]
) -> None:
    (constraint,) = read_constraints([name], [arguments])
    assert [follows(one, constraint, "strict") for one in right] == [True] * len(right)
    assert [follows(one, constraint, "strict") for one in wrong] == [False] * len(wrong)
    assert not follows("", constraint, "loose")
    assert not follows(" \n", constraint, "strict")


def test_loose_forgives_an_opening_a_closing_and_markdown() -> None:
    no_comma, quoted = Constraint("punctuation:no_comma", {}), Constraint("startend:quotation", {})
    for constraint, text in ((no_comma, "Sure, here it is:\nBread."), (quoted, '**"Bread."**'), (no_comma, "a\nb, c")):
        assert not follows(text, constraint, "strict")
        assert follows(text, constraint, "loose")
    assert not follows("a, b\nc, d\ne, f", no_comma, "loose")
    assert len(list(variants("a\nb\nc"))) == 8


def test_sentences_are_counted_by_their_ends() -> None:
    texts = [
        "Hi. There!",
        "1. One.\n2. Two.",
        'E.g. this one. "Yes!" he said.',
        "你好。再见！",
        "...",
        "It cost 3.5 dollars. OK?",
    ]
    assert [count_sentences(text) for text in texts] == [2, 2, 3, 2, 0, 2]


def test_arguments_are_checked_and_nulls_left_out() -> None:
    sent = {"num_words": 3.0, "relation": "at least", "keywords": None}
    assert read_constraints(["length_constraints:number_words"], [sent]) == [
        ("length_constraints:number_words", {"num_words": 3, "relation": "at least"})
    ]
    for ids, given, match in (
        (["length:words"], [{}], "no instruction 'length:words'"),
        (["punctuation:no_comma"], [{"n": 1}], "missing or unknown: n"),
        (["length_constraints:number_words"], [{"num_words": 3}], "missing or unknown: relation"),
        (["length_constraints:number_words"], [{"num_words": 3, "relation": "about"}], "number_words: Invalid"),
        (["punctuation:no_comma"], [], "as many"),
        ("punctuation:no_comma", None, "not a list"),
        (["punctuation:no_comma"], ["x"], "no mapping"),
        ([{}], [{}], "no instruction"),
    ):
        with pytest.raises(ValueError, match=match):
            read_constraints(ids, given)
