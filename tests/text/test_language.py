from __future__ import annotations

import json
import os
import time
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

pytest.importorskip("pycld2")
from datagen.text.language import identify, known_languages, prose

needs_data = pytest.mark.skipif(
    "DATAGEN_TEST_DATA" not in os.environ, reason="set DATAGEN_TEST_DATA to the data folder"
)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("How do I bake bread without an oven?", "en"),
        ("Wie backe ich Brot ohne einen Ofen?", "de"),
        ("Pourquoi les feuilles des arbres tombent-elles en automne ?", "fr"),
        ("没有烤箱怎么烤面包？", "zh"),
        ("東京", "zh"),
        ("パンの焼き方を教えてください。", "ja"),
        ("שלום לכם, מה שלומכם היום?", "he"),
        ("Как испечь хлеб без духовки?", "ru"),
    ],
)
def test_a_sentence_has_its_language(text: str, code: str) -> None:
    assert identify(text).code == code


@pytest.mark.parametrize(
    "text", ["", " \n", "6 + 3 = 9", "😀😀", "print('hello')", "```\nfor x in y: pass\n```", "https://example.org/a"]
)
def test_what_is_no_prose_has_no_language(text: str) -> None:
    assert identify(text).code == ""


def test_code_does_not_outvote_the_sentence_beside_it() -> None:
    text = "Ich verstehe das nicht:\n```python\n# the quick brown fox jumps over the lazy dog, and then some more\n```"
    assert identify(text).code == "de"
    assert "fox" not in prose(text)
    assert prose("SELECT name FROM users;\nWas macht das?") == "Was macht das?"


def test_mixed_text_shows_its_shares() -> None:
    french = "J'aime les pommes et les poires, mais je préfère les bananes. Mon frère aime le pain."
    english = "I like apples and oranges very much indeed. My brother likes bread and butter."
    found = identify(f"{french}\n\n{english}")
    assert found.shares.keys() == {"fr", "en"}
    assert 0.4 < found.shares["fr"] < 0.6


def test_a_doubtful_text_is_given_to_the_expected_language_and_a_clear_one_is_not() -> None:
    assert not identify("ok").certain
    assert identify("ok", expected=["en"]).code == "en"
    assert identify("Wie backe ich Brot ohne einen Ofen?", expected=["en"]).code == "de"


def test_every_code_that_comes_out_is_a_known_one() -> None:
    assert {"en", "de", "zh", "he", "id", "sw"} <= known_languages()
    assert not {"", "un", "iw", "zh-Hant"} & known_languages()


@given(st.text())
def test_no_text_breaks_the_identifier(text: str) -> None:
    assert identify(text).code in {"", *known_languages()}


@pytest.mark.parametrize("piece", ["`", "<", "$", "a.", "x@", "www.", "a\n", "{ ", "\x00", "\ud800"])
def test_half_a_million_characters_take_linear_time(piece: str) -> None:
    started = time.process_time()
    identify(piece * (500_000 // len(piece)))
    assert time.process_time() - started < 5


@needs_data
def test_short_premises_in_five_languages_are_told_apart() -> None:
    right = rows = 0
    for code in ("et", "id", "it", "tr", "zh"):
        lines = Path(os.environ["DATAGEN_TEST_DATA"], f"xcopa/test.{code}.jsonl").read_text().splitlines()
        right += sum(identify(json.loads(line)["premise"]).code == code for line in lines)
        rows += len(lines)
    assert right / rows > 0.88
