from __future__ import annotations

import pytest

from datagen.text.final_answer import final_answer, same_answer


@pytest.mark.parametrize(
    ("answer", "expected"),
    [
        ("She has 9 * 2 = 18 left.\n#### 18", "18"),
        (r"So $x = \boxed{\frac{1}{2}}$, done in 3 steps.", r"\frac{1}{2}"),
        ("The answer is $1,200.\nThanks!", "$1,200."),
        ("It is 3, then 4.5 km", "4.5"),
        ("no number here", None),
        (r"\boxed{never closed", None),
        ("Answer:\n18 eggs", "18"),
        ("Answer: \n18 eggs", "18"),
        ("", None),
    ],
)
def test_the_final_answer_is_found_where_it_is_marked_and_else_at_the_end(answer: str, expected: str | None) -> None:
    assert final_answer(answer) == expected


@pytest.mark.parametrize(
    ("given", "reference"),
    [
        ("18", "#### 18"),
        ("$1,200.", "1200"),
        ("18.0", "18"),
        (r"\frac{1}{2}", "0.5"),
        ("Paris.", "paris"),
        ("18 eggs", "18"),
        (r"\frac{1}{2}", r"\frac{1}{2}"),
        ("0.5", r"\dfrac{1}{2}"),
        ("(1, 2)", "(1, 2)"),
        ("18", "She has 9 * 2 = 18 eggs"),
    ],
)
def test_the_same_answer_in_other_dress_is_the_same(given: str, reference: str) -> None:
    assert same_answer(given, reference)


@pytest.mark.parametrize(
    ("given", "reference"), [("19", "18"), ("-18", "18"), ("Paris", "London"), ("1 or 2", "1"), ("2", r"\frac{1}{2}")]
)
def test_another_answer_is_another(given: str, reference: str) -> None:
    assert not same_answer(given, reference)
