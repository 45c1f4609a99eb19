"""Texts made to be slow: what reads an answer must be linear in it. Each of these took minutes, or for ever."""

from __future__ import annotations

import pytest

from datagen.text.code_blocks import python_code
from datagen.text.constraint_checks import count_sentences, json_format
from datagen.text.final_answer import final_answer, same_answer
from datagen.text.json_text import NotJSON, json_of
from datagen.text.sums import equations

N = 200_000


@pytest.mark.parametrize(
    "text",
    [
        "**a" + " **a" * (N // 40) + "=",
        "1" * N + ",1 = 2",
        "1" + ",111" * (N // 40) + ",1 = 2",
        "=" + "." * (N // 10) + "a",
        "(" * (N // 20) + "1" + ")" * (N // 20) + "=1",
        "((((9^64)^64)^64)^64) = 1",
    ],
    ids=["bold", "digits", "groups", "dots", "brackets", "powers"],
)
def test_equations_are_looked_for_in_linear_time(text: str) -> None:
    assert list(equations(text)) == []


def test_final_answers_are_looked_for_in_linear_time() -> None:
    assert final_answer("\n" * N) is None
    assert not same_answer("." * N + "a", "5")


def test_sentences_and_fences_are_looked_for_in_linear_time() -> None:
    assert count_sentences("." * N + "a") == 1
    assert not json_format("a" + " " * N + "b")
    assert python_code("```" + "a" * N + "`") is None
    assert python_code("```" + " " * N + "`") is None


@pytest.mark.parametrize(
    "text",
    [
        "```json\n" * (N // 10),
        "```" + " " * N + "!",
        "{" + ",".join(f'"{at}":0' for at in range(N // 10)) + ',"0":1}',
    ],
    ids=["opened", "spaces", "keys"],
)
def test_json_is_looked_for_in_linear_time(text: str) -> None:
    with pytest.raises(NotJSON):
        json_of(text, "either")
