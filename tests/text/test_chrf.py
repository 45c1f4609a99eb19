from __future__ import annotations

import pytest

from datagen.text.chrf import chrf


@pytest.mark.parametrize(
    ("text", "reference", "score"),
    [
        ("the cat sat on the mat", "the cat is on the mat", 0.645779),
        ("ab", "abcdef", 0.3125),
        ("Das ist ein Haus.", "This is a house.", 0.169501),
        ("他们在那里", "他们去那里了", 0.221277),
        ("a", "aaaaaa", 0.2),
    ],
)
def test_the_score_is_that_of_sacrebleu(text: str, reference: str, score: float) -> None:
    """Values of sacrebleu's CHRF().sentence_score, over 100."""
    assert chrf(text, reference) == pytest.approx(score, abs=1e-6)


def test_a_hand_worked_score() -> None:
    """P = (2/3 + 1/2) / 2 = 7/12 and R = (2/2 + 1/1) / 2 = 1 over the orders 1 and 2: 5PR / (4P + R) = 7/8."""
    assert chrf("abc", "ab") == pytest.approx(7 / 8)


def test_its_ends_are_equal_texts_and_texts_that_share_nothing() -> None:
    assert chrf("so wie so", "so  wie\nso") == 1
    assert chrf("abc", "xyz") == chrf("", "xyz") == chrf("abc", " ") == 0
