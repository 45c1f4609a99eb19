from __future__ import annotations

from pathlib import Path

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from datagen.errors import DataError
from datagen.record import Answer, Drop, Message, Record, decode, encode, instruction, read_records

text = st.text()  # without lone surrogates
answers = st.builds(
    Answer,
    content=text,
    model=text,
    scores=st.dictionaries(text, st.floats(allow_nan=False, allow_infinity=False), max_size=2),
    notes=st.dictionaries(text, text, max_size=2),
)
records = st.builds(
    Record,
    prompt=st.lists(st.builds(Message, st.sampled_from(["system", "user", "assistant"]), text), min_size=1).map(tuple),
    answers=st.lists(answers, max_size=3).map(tuple),
    source=text,
    parents=st.lists(text, max_size=2).map(tuple),
    labels=st.dictionaries(text, st.one_of(st.none(), st.booleans(), st.integers(-(2**63), 2**63), text), max_size=2),
    dropped=st.none() | st.builds(Drop, text, st.dictionaries(text, text, max_size=1)),
)


@given(records)
def test_a_record_survives_its_json_line(record: Record) -> None:
    line = encode(record)
    assert b"\n" not in line
    assert decode(line) == record
    assert decode(line).id == record.id == msgspec.json.decode(line)["id"]


@given(st.text(alphabet=st.characters(), min_size=1))
def test_any_text_can_be_stored_even_with_lone_surrogates(words: str) -> None:
    record = instruction(words, words, labels={words: [words]})
    stored = decode(encode(record))
    assert stored.id == record.id
    assert stored.instruction == words.encode("utf-16-le", "surrogatepass").decode("utf-16-le", "replace")


def test_the_id_is_of_prompt_and_answers_alone() -> None:
    record = instruction("Name a colour.", "Red")
    answer = record.answers[0].scored("accuracy", 4.5, "right")
    relabelled = msgspec.structs.replace(record, answers=(answer,), source="s", language="en", parents=("p",))
    assert relabelled.labelled(split="test").drop("length:too_short", words=1).id == record.id
    assert record.id == "bdf32e0c6a35cd958d728a6445575263"


def test_a_row_read_again_has_the_id_of_its_line_whatever_is_added_to_it(tmp_path: Path) -> None:
    made = instruction("Name a colour.", "Red")
    (tmp_path / "rows.jsonl").write_bytes(encode(made) + b"\n")
    (read,) = read_records(tmp_path / "rows.jsonl")
    changed = read.in_language("en").labelled(split="test").drop("length:too_short")
    assert changed.id == read.id == made.id == decode(encode(changed)).id
    assert read.with_answers([Answer("Blue")]).id == instruction("Name a colour.", "Blue").id


@pytest.mark.parametrize(
    "other",
    [
        instruction("Name a colour."),
        instruction("Name a colour.", "Blue"),
        instruction("Name a color.", "Red"),
        Record((Message("system", "Name a colour."), Message("user", "")), (Answer("Red"),)),
        Record((Message("user", "Name a colour."), Message("assistant", "Red"))),
    ],
)
def test_other_content_is_another_id(other: Record) -> None:
    assert other.id != instruction("Name a colour.", "Red").id


def test_new_answers_make_a_child_that_names_its_parent() -> None:
    parent = instruction("Name a colour.")
    child = parent.with_answers([Answer("Red", "teacher")])
    assert child.parents == (parent.id,)
    assert child.answer == "Red"
    assert parent.answer == ""


def test_a_score_keeps_the_others_and_its_reason() -> None:
    answer = Answer("Red").scored("accuracy", 4.0, "fine").scored("length", 1)
    assert answer.scores == {"accuracy": 4.0, "length": 1}
    assert answer.notes == {"accuracy": "fine"}


@pytest.mark.parametrize("score", [float("nan"), float("inf")])
def test_a_score_that_json_cannot_hold_is_refused(score: float) -> None:
    with pytest.raises(AssertionError, match="JSON cannot hold"):
        Answer("Red").scored("loss", score)


def test_every_third_record_is_read_and_a_damaged_one_between_them_is_passed_over(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    lines = [encode(instruction(f"Say {number}")) for number in range(7)]
    lines[1], lines[6] = b"not JSON", b"nor this"
    path.write_bytes(b"\n".join(lines) + b"\n")
    rows = read_records(path, 3)
    assert [next(rows).instruction, next(rows).instruction] == ["Say 0", "Say 3"]
    with pytest.raises(DataError, match="line 7"):
        next(rows)


def test_a_damaged_line_is_named(tmp_path: Path) -> None:
    path = tmp_path / "rows.jsonl"
    path.write_bytes(encode(instruction("a")) + b"\n" + b'{"prompt": [{"ro\n')
    with pytest.raises(DataError, match="line 2"):
        list(read_records(path))
