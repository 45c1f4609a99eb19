from __future__ import annotations

import pytest

from datagen.text.parsing import score_lines

NAMES = ["accuracy", "instruction_following"]


@pytest.mark.parametrize(
    "text",
    [
        "accuracy: 4\ninstruction_following: 2.5",
        "Here are the scores.\n\n**Accuracy:** 4\n**Instruction following:** 2.5/5\n\nAccuracy is good, since it is.",
        "1. Accuracy: 4\n2. Instruction_Following: 2,5",
        "- accuracy = 4 - nothing wrong\n- instruction following = 2.5.",
        "## Accuracy: 4\n## Instruction following：2.5\naccuracy: 4 (as I said)",
        "instruction_following: 2.5 out of 5\naccuracy: `4`",
    ],
)
def test_each_rubric_s_line_is_found(text: str) -> None:
    assert score_lines(text, NAMES) == {"accuracy": 4, "instruction_following": 2.5}


@pytest.mark.parametrize(
    "text",
    [
        "",
        "4\n2.5",
        "accuracy: 4",
        "accuracy: 4\ninstruction_following: high",
        "accuracy: 4\ninstruction_following: 7",
        "accuracy: 4\ninstruction_following: 4/10",
        "accuracy: 4\ninstruction_following: -1",
        "accuracy: 4\naccuracy: 3\ninstruction_following: 2",
        "accuracy: 4 errors\ninstruction_following: 2",
        "accuracy: 2016\ninstruction_following: 2",
        "accuracy: 4, instruction_following: 2",
        "accuracy: (number)\ninstruction_following: (number)",
        "The accuracy: 4\ninstruction_following: 2",
    ],
)
def test_what_lacks_a_rubric_or_contradicts_itself_is_no_score(text: str) -> None:
    assert score_lines(text, NAMES) is None


def test_a_long_reply_takes_no_longer_than_its_length() -> None:
    long = "accuracy " * 50_000 + "\n" + "a" * 100_000 + "\n" + ":" * 100_000 + "\n" + "**" * 50_000
    assert score_lines(f"{long}\naccuracy: 4\ninstruction_following: 2", NAMES) == {
        "accuracy": 4,
        "instruction_following": 2,
    }
