from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datagen.record import Message, Record, instruction
from datagen.text.words import normal, scoped


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Name a  colour.", "name a colour"),
        ("“Name” a colour!", "Name a colour"),
        ("STRASSE", "straße"),
        ("写一首诗。", "写一首诗"),
    ],
)
def test_case_whitespace_and_punctuation_do_not_count(one: str, other: str) -> None:
    assert normal(one) == normal(other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("What is 3 + 4?", "What is 3 - 4?"),
        ("Add 3.5 and 1", "Add 35 and 1"),
        ("x = y", "x != y"),
        ("Explain C#", "Explain C++"),
        ("5!", "5"),
        ("😀", "😢"),
    ],
)
def test_what_changes_the_meaning_counts(one: str, other: str) -> None:
    assert normal(one) != normal(other)


@given(st.text())
def test_surrounding_whitespace_never_counts(text: str) -> None:
    assert normal(f"  {text}\n") == normal(text)


def test_scopes_look_at_their_part() -> None:
    prompt = (Message("system", "Be brief."), Message("user", "Add.\n1 2"))
    record = Record(prompt, instruction("", "3").answers, labels={"instruction": "Add.", "input": "1 2"})
    assert scoped(record, "task") == "Add."
    assert scoped(record, "instruction") == "Add.\n1 2"
    assert scoped(record, "answer") == "3"
    assert scoped(record, "all") == "Add.\n1 2\n3"
