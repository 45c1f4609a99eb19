"""personal_data and secrets: dropped with evidence that does not repeat them, or masked everywhere."""

from __future__ import annotations

import pytest

pytest.importorskip("phonenumbers")
pytest.importorskip("stdnum")
pytest.importorskip("detect_secrets")
from datagen.errors import ConfigError
from datagen.filters.personal_data import personal_data
from datagen.filters.secrets import secrets
from datagen.record import Answer, Message, Record, encode, instruction

ROWS = [
    instruction("Who is it?", "Write to ann.lee@gmail.com or (202) 456-1414."),
    instruction("Name a colour.", "Red."),
    instruction("Where is 45 Pine Street?", "There."),
    instruction("Connect.", "redis://ann:tR7kk2mQz9@cache.home.net:6379"),
]


def reasons(records: list[Record]) -> list[str | None]:
    return [record.dropped.reason if record.dropped else None for record in records]


def test_rows_are_dropped_and_the_evidence_does_not_repeat_what_was_found() -> None:
    found = list(personal_data(ROWS[:3]))
    assert reasons(found) == ["personal_data:email", None, None]
    assert found[0].dropped is not None
    assert found[0].dropped.evidence == {
        "found": {"email": 1, "phone": 1},
        "shown": [
            {"kind": "email", "in": "answers[0]", "at": 9, "length": 17, "opening": "an…"},
            {"kind": "phone", "in": "answers[0]", "at": 30, "length": 14, "opening": "(2…"},
        ],
    }
    (secret,) = secrets(ROWS[3:])
    assert secret.dropped is not None
    assert secret.dropped.reason == "secrets:basic_auth"
    assert "tR7kk2mQz9" not in str(secret.dropped.evidence)
    assert reasons(list(personal_data(ROWS[2:3], kinds=("street_address",)))) == ["personal_data:street_address"]


def test_a_key_that_leads_to_what_was_found_is_not_repeated_either() -> None:
    answer = Answer("x", notes={"by bob@home.org": "to ann@home.org"})
    row = instruction("Hi", labels={"ann@home.org": {"bob@home.org": "ann@home.org"}}).with_answers([answer])
    (found,) = personal_data([row])
    assert found.dropped is not None
    assert "home.org" not in str(found.dropped.evidence)
    places = [one["in"] for one in found.dropped.evidence["shown"]]
    assert places[1:3] == ["answers[0].notes.by <EMAIL>", "labels.(a key)"]


def test_masking_makes_a_child_in_which_nothing_of_it_is_left() -> None:
    row = Record(
        (Message("system", "You serve ann@home.org."), Message("user", "Mail ann@home.org to bob@home.org")),
        (Answer("Sent to ann@home.org", scores={"x": 1.0}, notes={"why": "ann@home.org asked"}), Answer("No.")),
        labels={"input": "ann@home.org", "tags": ["a", {"from ann@home.org": "bob@home.org"}], "n": 3},
        source="mail",
    )
    (child,) = personal_data([row], action="mask")
    assert child.dropped is None
    assert child.parents == (row.id,)
    assert b"@home.org" not in encode(child)
    assert child.instruction == "Mail <EMAIL> to <EMAIL>"
    assert child.answers == (
        Answer("Sent to <EMAIL>", scores={"x": 1.0}, notes={"why": "<EMAIL> asked"}),
        Answer("No."),
    )
    masked = {"input": "<EMAIL>", "tags": ["a", {"from <EMAIL>": "<EMAIL>"}], "n": 3}
    assert child.labels == {**masked, "personal_data": {"email": 8}}
    assert list(personal_data([child], action="mask")) == [child]
    (other,) = secrets(ROWS[3:], action="mask")
    assert other.answer == "redis://ann:<BASIC_AUTH>@cache.home.net:6379"


def test_what_is_hidden_in_a_label_a_note_or_an_earlier_turn_counts() -> None:
    hidden = [
        instruction("Hi", "Ho", labels={"author": {"mail": ["ann@home.org"]}}),
        Record(
            (Message("user", "I am ann@home.org"), Message("assistant", "Hi"), Message("user", "Bye")), (Answer("x"),)
        ),
        instruction("Hi").with_answers([Answer("Ho"), Answer("ann@home.org")]),
    ]
    found = list(personal_data(hidden))
    assert reasons(found) == ["personal_data:email"] * 3
    shown = [record.dropped.evidence["shown"][0]["in"] for record in found if record.dropped]
    assert shown == ["labels.author.mail.0", "prompt[0]", "answers[1]"]
    assert [record.id for record in found] == [record.id for record in hidden]


def test_mistakes_are_found_before_any_work() -> None:
    with pytest.raises(ConfigError, match="name at least one"):
        list(personal_data([], kinds=()))
    with pytest.raises(ConfigError, match="no country 'UK'"):
        list(personal_data([], regions=("UK",)))
