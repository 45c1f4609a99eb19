from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datagen.text.sums import equations, wrong_equations

RIGHT = [
    "48 / 2 = 24",
    "48/2 = <<48/2=24>>24 clips",
    "5 apples * 3 = 15 apples",
    "10/3 = 3.33",
    "10/3 = 3.3",
    "2/3 = 0.67",
    "2/3 = 0.66",
    "1,234 + 1 = 1,235",
    "2 + 3 = 5 = 10 / 2",
    "$5 * 3 = $15",
    "(5 + 3) * 2 = 16",
    "5 x 3 = 15",
    "7/2 = 3.5",
    "20% * 50 = 10",
    "10/20 = 50%",
    "10/20*100 = 50%",
    "1/3 = 33.3%",
    "2^3 = 8",
    "2**3 = 8",
    "**5 + 3 = 8**",
    "- 5 + 3 = 8",
    ".5*10=5",
    "10/3 ≈ 3",
    "So (5+3 = 8) it is.",
    r"5 \times 3 = 15",
    "3 * -2 = -6",
    "-3 + 5 = 2",
    "1. 5 + 3 = 8",
    "He has 2(3) + 1 = 7 left",
    "0.1 + 0.2 = 0.3",
    "5 + 3 = 8.",
    "5+3=8, and 2+2=4",
    "9 - 3 = 6 years.",
]
WRONG = [
    "48 / 2 = 25",
    "5 + 3 = 9.",
    "7/2 = 3",
    "10/3 = 3.4",
    "1,234 + 1 = 1,236",
    "2 + 3 = 5 = 11 / 2",
    "So (5+3 = 9) it is.",
    "<<5*5=24>>24",
    "5 x 3 = 16",
    "3 * -2 = 6",
    "5 apples * 3 = 16 apples",
    "He has $20 - $5 = $10 left.",
    "10/20 = 51%",
    "- 5 + 3 = 9",
]
NOT_JUDGED = [
    "x + 3 = 5",
    "2x + 3 = 7",
    "2x - 3 = 7",
    "3y = 12",
    "5 feet 6 inches + 3 inches = 9",
    "90 minutes / 60 = 1.5 hours",
    "30 minutes + 30 minutes = 1 hour",
    "100 + 10% = 110",
    "sqrt(16) + 2 = 6",
    "a = 5 + 3",
    "f(2) = 4 + 1 = 5 x",
    "x = 2",
    "n = 5",
    "5! / 3 = 40",
    "10 mod 3 = 1",
    "1/0 = 5",
    "9^9^9 = 3",
    "E = mc^2",
    "2 + 3 = x",
    "8 batches = 5 * 9",
    "60 / 3 / 4 = 80",
    "4 pounds - 6 ounces = 58 ounces",
    "0900 - 0130 = 0730 hours",
    "$2.50 - $2.24 = 26 cents",
    "60 / 15 = 4 (15 minutes)",
    "`5 + 3 = 9`",
    "12:30 + 1 = 3",
    "1 + 2 + 3 + ... + 10 = 55",
    "log(8)/log(2) = 3",
    "5 + 3 == 9",
    "5 + 3 <= 9",
    "√16 + 1 = 5",
    "2 + 3i = 5",
    "3 + _ = 5",
    "3 + ? = 5",
]


@pytest.mark.parametrize("text", RIGHT)
def test_a_right_equation_is_found_right(text: str) -> None:
    found = list(equations(text))
    assert found
    assert all(one.right for one in found)


@pytest.mark.parametrize("text", WRONG)
def test_a_wrong_equation_is_found_wrong(text: str) -> None:
    assert wrong_equations(text)


@pytest.mark.parametrize("text", NOT_JUDGED)
def test_what_cannot_be_read_for_certain_is_not_judged(text: str) -> None:
    assert list(equations(text)) == []


def test_the_wrong_one_of_several_is_shown_with_what_it_comes_to() -> None:
    (found,) = wrong_equations("5 + 3 = 8, then 8 * 2 = <<8*2=16>>16\nand 16 / 5 = 3.3.")
    assert found == ("16 / 5 = 3.3", "3.2", False)


@pytest.mark.parametrize(
    "text",
    ["=" * 9999, "(" * 9999 + "=1", "1+" * 9999 + "1=2", "1 = " * 999, "9^" * 99 + "9 = 1", "<<" * 999, "-=x=\x00"],
)
def test_hostile_text_is_read_without_harm(text: str) -> None:
    assert not [one for one in equations(text) if one.value == "inf"]


@given(st.integers(0, 10**6), st.integers(1, 10**6), st.sampled_from("+-*"))
def test_whole_sums_are_right_when_right_and_wrong_when_one_off(a: int, b: int, sign: str) -> None:
    value = {"+": a + b, "-": a - b, "*": a * b}[sign]
    assert [one.right for one in equations(f"{a:,} {sign} {b} = {value:,}")] == [True]
    assert [one.right for one in equations(f"{a} {sign} {b:,} = {value + 1}")] == [False]


@given(st.text(alphabet="0123456789+-*/()=.,% xa$\n<>^≈", max_size=60))
def test_any_text_of_signs_can_be_read(text: str) -> None:
    assert all(one.text for one in equations(text))


def test_a_side_that_is_too_long_to_be_read_is_not_judged() -> None:
    assert wrong_equations("50 * 2 = " + " + ".join(["1"] * 100)) == []
    assert len(wrong_equations("50 * 2 = " + " + ".join(["1"] * 30))) == 1


def test_numbers_beyond_all_bounds_are_shown_or_not_judged() -> None:
    assert wrong_equations("(99^64)^64 = 5") == []
    assert len(wrong_equations("(9^60) * (9^60) * (9^60) * (9^60) * (9^60) * (9^60) / 7 = 5")) == 1
