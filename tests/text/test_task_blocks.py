from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from datagen.text.parsing import Instance
from datagen.text.task_blocks import WholeTask, class_labels, whole_tasks

BLOCK = "4. Instruction: Add the numbers.\n4. Input:\n2 and 3\n4. Output:\n5"
ADD = WholeTask("Add the numbers.", "2 and 3", "5")
NAME = WholeTask("Name a bird.", "", "Wren\nor robin")
NAMED = "5. Instruction: Name a bird.\n5. Input:\n<noinput>\n5. Output:\nWren\nor robin"


@pytest.mark.parametrize(
    ("text", "tasks"),
    [
        (f"{BLOCK}\n###\n{NAMED}\n###", [ADD, NAME]),
        (f"###\n{BLOCK}\n\n{NAMED}\n", [ADD, NAME]),
        (f"Sure, here they are:\n\n{BLOCK}\n###\n{NAMED}\n###\nI hope this helps!", [ADD, NAME]),
        ("**4. Instruction:** Add the numbers.\n**Input:** 2 and 3\n**Output:** 5", [ADD]),
        ("Instruction: Add the numbers.\nInput: 2 and 3\nOutput: 5", [ADD]),
        ("17. Instruction: Add the numbers.\n3. Input: 2 and 3\n9. Output: 5", [ADD]),
        (
            "4. Instruction: Add the numbers.\n4. Input: 2 and 3",
            ["4. Instruction: Add the numbers.\n4. Input: 2 and 3"],
        ),
        (f"4. Output: 5\n4. Input: 2\n###\n{NAMED}", ["4. Output: 5\n4. Input: 2", NAME]),
        ("I cannot do that.", []),
        ("", []),
        ("###\n" * 5, []),
    ],
)
def test_whole_tasks_are_read_by_their_structure(text: str, tasks: list[WholeTask | str]) -> None:
    assert whole_tasks(text) == tasks


def test_an_example_inside_a_numbered_field_is_text() -> None:
    text = "4. Instruction: Sum a list.\nInput: [1]\nOutput: 1\n4. Input: <noinput>\n4. Output:\nsum(x)\nInput: no more"
    assert whole_tasks(text) == [WholeTask("Sum a list.\nInput: [1]\nOutput: 1", "", "sum(x)\nInput: no more")]


def test_a_heading_in_an_output_ends_no_task() -> None:
    text = "Instruction: Write a page.\nInput: <noinput>\nOutput:\n### Birds\nThey sing."
    assert whole_tasks(text) == [WholeTask("Write a page.", "", "### Birds\nThey sing.")]


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("Class label: spam\nInput: Win now\nClass label: ham\nInput: See you\nat 5", ["Win now", "See you\nat 5"]),
        ("Sure:\n\n**Class label:** spam\n\nInput:\nWin now\n\n2. Class label 2: ham\nSee you", ["Win now", "See you"]),
        ("Class label: spam\nTweet: Win now\nClass label: ham\n", ["Tweet: Win now", ""]),
        ("Class label: spam\nInput: None\nClass label: ham", ["", ""]),
    ],
)
def test_labels_come_before_their_inputs(text: str, found: list[str]) -> None:
    assert class_labels(text) == [Instance(found[0], "spam"), Instance(found[1], "ham")]


@pytest.mark.parametrize("text", ["", "It is spam.", "Class labels are spam and ham."])
def test_without_a_label_there_is_no_instance(text: str) -> None:
    assert class_labels(text) == []


@given(st.text(alphabet="#:*4.\nInputOutputInstructionClass label ", max_size=300))
def test_no_text_breaks_the_parsers(text: str) -> None:
    assert all(isinstance(one, str) or len(one) == 3 for one in whole_tasks(text))
    assert all(len(one) == 2 for one in class_labels(text))


def test_a_million_characters_are_read() -> None:
    assert len(whole_tasks("Instruction: a\nInput: b\nOutput: c\n" * 30_000)) == 30_000
    assert len(class_labels("Class label: a\n\n" * 60_000)) == 60_000
    assert whole_tasks("*# " * 400_000) == []
