from __future__ import annotations

import pytest

from datagen.text.echo import after_echo, echoed, said_again

PROMPT = "Put the text inside the tags into German, the way a native speaker would write it."


@pytest.mark.parametrize(
    ("reply", "given", "asked", "found"),
    [
        ("Sag es.", "Say it.", PROMPT, ""),
        (PROMPT, "Say it.", PROMPT, "put the text inside the tags into german"),
        ("The way a native speaker would write it is this.", "", PROMPT, "the way a native speaker would write it"),
        (PROMPT, f"Say: {PROMPT}", PROMPT, ""),
        ("Write my next message", "", "Write my next message.", "write my next message"),
        ("next message", "", "Next message.", ""),
        ("", "", "", ""),
    ],
)
def test_eight_words_of_the_prompt_in_a_row_are_a_copy(reply: str, given: str, asked: str, found: str) -> None:
    assert echoed(reply, given, asked) == found


def test_an_answer_that_is_the_request_says_nothing_of_its_own() -> None:
    assert said_again(" Name a colour.\n", "Name a colour.")
    assert not said_again("Name a colour: red.", "Name a colour.")


def test_what_is_said_after_the_prompt_begins_behind_its_last_copy() -> None:
    assert "Ask.Ask. 4"[after_echo("Ask.Ask. 4", " Ask.\n") :] == " 4"
    assert after_echo("4", "Ask.") == after_echo("4", "") == 0
    assert after_echo("ab" * 500_000, "ab" * 1000 + "c") == 0
