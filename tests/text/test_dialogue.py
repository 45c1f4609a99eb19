from __future__ import annotations

import pytest

from datagen.text.dialogue import Exchange, transcript, turn

TWO = "[Human] Why?\n[AI] Because.\n[Human] And how?\n[AI] So.\n[Human] Bye!\n[AI] Goodbye!"


def test_the_first_and_the_last_piece_are_left_out() -> None:
    found = [Exchange("Why?", "Because."), Exchange("And how?", "So.")]
    assert transcript(TWO) == found
    assert transcript(f"Sure, here it is:\n{TWO}") == found
    assert transcript("[AI] Hi! How can I help you?\n" + TWO) == found


@pytest.mark.parametrize("greeting", ["[Human] Hello!\n[AI] Hi! How can I help you?\n", "[human]: hi [AI]: Hello\n"])
def test_a_greeting_that_is_said_again_is_no_exchange(greeting: str) -> None:
    assert transcript(greeting + TWO) == transcript(TWO)


def test_tags_may_be_bold_or_have_a_colon_and_answers_many_lines() -> None:
    text = "**[Human]:** Why?\n**[AI]:** Because:\n\n1. a\n2. b\n[HUMAN]: Bye"
    assert transcript(text) == [Exchange("Why?", "Because:\n\n1. a\n2. b")]


@pytest.mark.parametrize(
    "broken",
    ["[Human] Two?\n[AI] a\n[AI] b\n", "[Human] None?\n", "[Human]\n[AI] To whom?\n", "[Human] Silence?\n[AI] \n"],
)
def test_a_piece_without_exactly_one_answer_cuts_the_transcript_there(broken: str) -> None:
    assert transcript(f"[Human] Why?\n[AI] Because.\n{broken}{TWO}") == [Exchange("Why?", "Because.")]
    assert transcript(broken + TWO) == []


@pytest.mark.parametrize("text", ["", "I would rather not.", "[Human] Why?", "[Human] Why?\n[AI] Cut he", "[AI] [AI]"])
def test_what_holds_no_whole_exchange_gives_none(text: str) -> None:
    assert transcript(text) == []


def test_a_million_characters_are_read_at_once() -> None:
    assert len(transcript("[Human] a [AI] b " * 60_000)) == 59_999
    assert transcript("[*_" * 350_000) == []


@pytest.mark.parametrize(
    ("text", "human", "ai"),
    [
        (" Why? \n", "Why?", "Why?"),
        ("[Human] Why?", "Why?", ""),
        ("[Human]: Why?\n[AI] Because.", "Why?", ""),
        ("Why?\n[AI] Because.\n[Human] So?", "Why?", "Why?"),
        ("[AI] Because.\n[Human] Why?", "", "Because."),
        ("", "", ""),
    ],
)
def test_a_turn_is_what_its_speaker_says_and_no_more(text: str, human: str, ai: str) -> None:
    assert (turn(text, "human"), turn(text, "ai")) == (human, ai)
