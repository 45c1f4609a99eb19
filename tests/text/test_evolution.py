from __future__ import annotations

import pytest

from datagen.text.evolution import copied, says_nothing, sorry, unchanged

ASKED = "Rewrite the task below so that it becomes a little harder to solve.\n\n<given_task>\n\n</given_task>"


def test_case_space_and_punctuation_change_nothing_but_a_sign_does() -> None:
    assert unchanged("what is  3 + 4", "What is 3 + 4?")
    assert not unchanged("What is 3 - 4?", "What is 3 + 4?")


@pytest.mark.parametrize(
    ("evolved", "found"),
    [
        ("#Rewritten Prompt#: Name a bird.", "Rewritten Prompt"),
        ("Here is the created task: name a bird.", "created task"),
        ("<given_task>Name a bird.</given_task>", "given_task"),
        ("REWRITE the task below, so that it becomes a bird.", "rewrite the task below so that it becomes"),
        ("Rewrite the task below so that it is short.", ""),
        ("Name a bird, given that tasks are hard.", ""),
        ("", ""),
    ],
)
def test_words_of_the_evolving_prompt_are_found(evolved: str, found: str) -> None:
    assert copied(evolved, "Name a bird.", ASKED) == found


def test_words_that_the_old_instruction_held_are_no_copy() -> None:
    old = "Rewrite the task below so that it becomes a little harder: the given task is to add."
    assert copied(f"{old} In French.", old, ASKED) == ""


def test_all_words_of_a_short_prompt_count_and_those_of_a_very_short_one_do_not() -> None:
    assert copied("Make this task longer. Name a bird.", "Name a bird.", "Make this task longer.")
    assert not copied("Make it rhyme. Name a bird.", "Name a bird.", "Make it")


@pytest.mark.parametrize(
    ("answer", "eliminated"),
    [
        ("I'm SORRY, I can't.", True),
        ("sorry " + "word " * 78, True),
        ("sorry " + "word " * 79, False),
        ("Word " * 5, False),
    ],
)
def test_a_short_answer_that_says_sorry(answer: str, eliminated: bool) -> None:
    assert sorry(answer) is eliminated


@pytest.mark.parametrize(
    ("answer", "eliminated"),
    [
        ("", True),
        ("... !", True),
        ("And then, of course", False),
        ("It is what it is.", True),
        ("No", False),
        ("7", False),
    ],
)
def test_an_answer_of_stop_words_and_punctuation_alone(answer: str, eliminated: bool) -> None:
    assert says_nothing(answer) is eliminated
