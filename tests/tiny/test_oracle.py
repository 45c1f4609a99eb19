"""The oracle: exact where one answer is right, by rule where many are, silent outside its world."""

from __future__ import annotations

import pytest

from datagen.record import Message
from datagen.tiny import oracle


@pytest.mark.parametrize(
    ("instruction", "right", "wrong"),
    [
        ("Give the opposite of big and hot.", "small cold", "cold small"),
        ("please give the opposite of BIG", "small", "tiny"),
        ("For each word give the plural.\nmouse box", "mice boxes", "mouses boxes"),
        ("Sort the words pear fig apple.", "apple fig pear", "apple pear fig"),
        ("Sort the words pear, fig, apple.", "Apple fig pear.", "pear fig apple"),
        ("Reverse the list Tom Anna Ben.", "Ben Anna Tom", "Tom Anna Ben"),
        ("Is cat in the list dog cat hen?", "yes", "no"),
        ("What is 7 plus 8?", "15", "16"),
        ("Which number comes next: 5 10 15", "20", "25"),
        ("Tom has 3 red cups in the park and finds 4 more at the bank. How many cups has Tom?", "7", "8"),
        ("Anna is taller than Ben and Ben is taller than Leo. Who is the taller of all?", "Anna", "Leo"),
        ("Translate the sentence into French: the red cat sees the house", "le chat rouge voit la maison", "le chat"),
        ("Trie les mots pear fig.", "fig pear", "pear fig"),
    ],
)
def test_one_answer_is_right(instruction: str, right: str, wrong: str) -> None:
    assert oracle.check(instruction, right) is True
    assert oracle.check(instruction, wrong) is False
    assert oracle.answer(instruction) is not None


@pytest.mark.parametrize(
    ("instruction", "right", "wrong"),
    [
        (
            "Name three fruits but not pear.",
            ("fig apple kiwi", "kiwi fig apple"),
            ("fig pear kiwi", "fig fig kiwi", "fig kiwi", "cat dog hen"),
        ),
        (
            "Write a sentence with the words red Tom cup.",
            ("Tom sees a red cup.", "Tom wants the red cup."),
            ("Tom sees a cup.", "Red Tom cup.", "Tom sees a red cup", "Tom red a sees cup."),
        ),
    ],
)
def test_many_answers_are_right(instruction: str, right: tuple[str, ...], wrong: tuple[str, ...]) -> None:
    assert all(oracle.check(instruction, answer) is True for answer in right)
    assert all(oracle.check(instruction, answer) is False for answer in wrong)


@pytest.mark.parametrize(
    "instruction",
    [
        "Write a poem about spring.",
        "",
        "\n",
        "What is the opposite of table?",
        "Sort the words pear zebra.",
        "Which word comes after fig in pear fig?",
        "What is 15 plus 90?",
        "Give the opposite of big. Then dance.",
        "Write a sentence with the words red Tom cup. Say it twice.",
    ],
)
def test_what_the_world_cannot_answer_is_none(instruction: str) -> None:
    assert oracle.check(instruction, "small") is None
    assert oracle.answer(instruction) is None


@pytest.mark.parametrize(
    ("rule", "answer"),
    [
        ("Say it twice.", "small small"),
        ("End with an exclamation mark.", "small!"),
        ("Start with the word Answer.", "Answer: small"),
        ("Answer in a full sentence.", "The answer is small."),
        ("Add thanks at the end.", "small thanks"),
        ("Call me sir.", "small sir"),
        ("End with a full stop.", "small."),
        ("Put a star before it.", "* small"),
    ],
)
def test_a_rule_on_form_changes_the_only_right_answer(rule: str, answer: str) -> None:
    instruction = f"What is the opposite of big? {rule}"
    assert oracle.check(instruction, answer) is True
    assert oracle.check(instruction, "small") is False


def test_two_tasks_need_both_answers_in_order() -> None:
    instruction = "What is the opposite of big? Then sort the words pear fig."
    assert oracle.check(instruction, "small; fig pear") is True
    assert oracle.check(instruction, "fig pear; small") is False
    assert oracle.check(instruction, "small") is False


def test_a_task_may_lack_its_input() -> None:
    assert oracle.needs_input("For each word give the plural.")
    assert not oracle.needs_input("For each word give the poem.")
    assert oracle.check("For each word give the plural.", "cats") is None


def _chat(*turns: str) -> list[Message]:
    return [Message("assistant" if number % 2 else "user", text) for number, text in enumerate(turns)]


@pytest.mark.parametrize(
    ("turns", "right", "wrong"),
    [
        (("What is the opposite of big?", "small", "And for hot?"), "cold", "small"),
        (("What is the opposite of big?", "small", "And for hot?", "cold", "What about wet?"), "dry", "cold"),
        (("Sort the words pear fig.", "fig pear", "Reverse your answer."), "pear fig", "fig pear"),
        (("Sort the words pear fig.", "fig pear", "How many words is your answer?"), "2", "3"),
        (("Sort the words pear fig.", "fig pear", "Thank you!"), "You are welcome.", "fig"),
        (("Sort the words pear fig.", "fig pear", "What is 2 plus 3?"), "5", "4"),
    ],
)
def test_a_follow_up_refers_to_the_turns_before(turns: tuple[str, ...], right: str, wrong: str) -> None:
    assert oracle.check_dialogue(_chat(*turns), right) is True
    assert oracle.check_dialogue(_chat(*turns), wrong) is False


def test_a_follow_up_without_its_turns_is_none() -> None:
    assert oracle.check_dialogue(_chat("And for hot?"), "cold") is None
    assert oracle.check_dialogue(_chat("Hello!", "Hello! Ask me something.", "And for hot?"), "cold") is None
