from __future__ import annotations

import pytest

from datagen.text.chatter import babble, chatter, without_closing


@pytest.mark.parametrize(
    "reply",
    [
        "Sure! Name a dark colour.",
        "Certainly, name a dark colour.",
        "Here is the rewritten task:\nName a dark colour.",
        "Here's a harder version of it:\n\nName a dark colour.",
        "Name a dark colour.\n\nI hope that this helps!",
        "Name a dark colour.\n\nLet me know if you need more examples.",
    ],
)
def test_a_word_to_the_asker_is_chatter_unless_the_given_text_has_one(reply: str) -> None:
    assert chatter(reply, "Name a colour.")
    assert not chatter(reply, reply)


@pytest.mark.parametrize(
    "reply",
    [
        "Name a dark colour.",
        "Here are two orders:\n17, 80.00\n18, 64.50\n\nWhich costs more?",
        "Explain why a surety helps.\n\nGive two more examples, and another task like it.",
        "Write to a friend and say that you hope this helps.",
        "",
    ],
)
def test_a_task_that_says_the_like_is_none(reply: str) -> None:
    assert not chatter(reply, "Name a colour.")


def test_a_closing_word_belongs_to_no_field() -> None:
    letter = "Input: x\nOutput: Dear Ann,\n\nlet me know when you are back.\n\nYours\nBob"
    assert without_closing(letter) == letter
    assert without_closing(f"{letter}\n\nHope this helps!\n") == letter
    assert without_closing("a" * 1000 + "\n \nIf you'd like, I can write other tasks.") == "a" * 1000
    assert without_closing("") == ""


def test_a_text_far_longer_than_what_it_was_made_of_is_babble() -> None:
    assert babble("x" * 4005, "x" * 4)
    assert not babble("x" * 4004, "x" * 4)
    assert not babble("x" * 16_000, "x" * 2000)
