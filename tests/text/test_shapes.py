from __future__ import annotations

import orjson
import pytest

from datagen.record import Answer, Message, Record, instruction
from datagen.text.formats import FORMATS, detect
from datagen.text.shapes import SHAPES, lost

PAIR = Record((Message("user", "1 + 1?"),), (Answer("It is 2"), Answer("It is 3")))
CHAT = Record((Message("system", "Be kind."), *PAIR.prompt, Message("assistant", "2"), Message("user", "Sure?")),
              (Answer("Yes"), Answer("No")))  # fmt: skip
SPLIT = instruction("Sort.\nb a", "a b", labels={"instruction": "Sort.", "input": "b a"})
CHATS = ["messages", "sharegpt", "trl-prompt", "trl-completion", "trl-preference", "trl-preference-implicit"]


def read_again(rows: object) -> list[Record]:
    assert isinstance(rows, list), rows
    found = []
    for row in rows:
        name = detect(row)
        assert name is not None, row
        found += FORMATS[name].read(row)
    return found


@pytest.mark.parametrize("record", [PAIR, CHAT])
@pytest.mark.parametrize("shape", CHATS)
def test_what_a_conversational_shape_holds_is_read_back(shape: str, record: Record) -> None:
    (back,) = read_again(SHAPES[shape].rows(record))
    assert back.prompt == record.prompt
    assert back.answers == record.answers[: SHAPES[shape].answers]


@pytest.mark.parametrize("shape", [name for name in SHAPES if name.endswith("-text") and name != "trl-unpaired-text"])
def test_what_a_plain_shape_holds_is_read_back(shape: str) -> None:
    record = Record(PAIR.prompt, (Answer("two"), Answer("one")))
    (back,) = read_again(SHAPES[shape].rows(record))
    if shape == "trl-text":
        assert back.instruction == "1 + 1?\n\ntwo"
        return
    assert back.instruction == "1 + 1?\n\n"
    assert back.answers == record.answers[: SHAPES[shape].answers]


def test_records_in_columns_keep_everything() -> None:
    answer = Answer("2", "m", {"accuracy": 4.5}, {"accuracy": "right"})
    record = Record(CHAT.prompt, (answer, Answer("3")), "self_instruct", ("p",), "en", {"topic": "sums", "n": 1})
    assert read_again(SHAPES["records"].rows(record)) == [record]
    assert list(lost(record, "records")) == []


def test_alpaca_keeps_instruction_and_input_apart_unless_the_prompt_outgrew_them() -> None:
    assert SHAPES["alpaca"].rows(SPLIT) == [{"instruction": "Sort.", "input": "b a", "output": "a b"}]
    evolved = instruction("Sort in reverse.", "b a", labels={"instruction": "Sort.", "input": "b a"})
    assert SHAPES["alpaca"].rows(evolved) == [{"instruction": "Sort in reverse.", "input": "", "output": "b a"}]


def test_judged_answers_are_a_row_each() -> None:
    rows = SHAPES["trl-unpaired-text"].rows(PAIR)
    assert rows == [
        {"prompt": "1 + 1?\n\n", "completion": "It is 2", "label": True},
        {"prompt": "1 + 1?\n\n", "completion": "It is 3", "label": False},
    ]
    assert [record.labels for record in read_again(SHAPES["trl-unpaired"].rows(PAIR))] == [
        {"label": True},
        {"label": False},
    ]
    bad = instruction("Q", "A", labels={"label": False})
    assert SHAPES["trl-unpaired-text"].rows(bad) == [{"prompt": "Q\n\n", "completion": "A", "label": False}]


@pytest.mark.parametrize(
    ("shape", "record", "why"),
    [
        ("alpaca", CHAT, "several_turns"),
        ("trl-text", CHAT, "several_turns"),
        ("trl-completion-text", CHAT, "several_turns"),
        ("trl-completion", instruction("Q"), "no_answer"),
        ("trl-text", instruction("Q"), "no_answer"),
        ("trl-preference", instruction("Q", "A"), "fewer_than_two_answers"),
        ("trl-preference-implicit-text", instruction("Q", "A"), "fewer_than_two_answers"),
        ("trl-unpaired", instruction("Q", "A"), "neither_label_nor_two_answers"),
    ],
)
def test_a_record_that_fits_no_row_has_a_reason(shape: str, record: Record, why: str) -> None:
    assert SHAPES[shape].rows(record) == why


def test_what_is_lost_is_named() -> None:
    scored = Record(
        PAIR.prompt, (Answer("2", scores={"a": 1.0}, notes={"a": "why"}), Answer("3")), "s", labels={"x": 1}
    )
    assert list(lost(scored, "messages")) == ["further answers", "scores", "notes", "labels", "lineage"]
    assert next(lost(scored, "trl-prompt")) == "answers"
    assert "further answers" not in lost(scored, "trl-preference")
    assert list(lost(SPLIT, "alpaca")) == []


def test_every_row_has_just_the_columns_of_its_shape() -> None:
    for name, shape in SHAPES.items():
        rows = shape.rows(PAIR)
        assert isinstance(rows, list)
        assert all(row.keys() == shape.columns.keys() for row in rows), name
        assert orjson.loads(orjson.dumps(rows)) == rows
