from __future__ import annotations

import pytest

from datagen.record import Answer, Message, Record, instruction
from datagen.text.formats import FORMATS, FormatName

_PAIR = Record((Message("user", "1 + 1?"),), (Answer("2"), Answer("3")))
_CHAT = Record((Message("user", "Hi"), Message("assistant", "Hello"), Message("user", "Bye")), (Answer("Ciao"),))
_SPLIT = instruction("Sort.\nb a", "a b", labels={"instruction": "Sort.", "input": "b a"})


@pytest.mark.parametrize(
    ("name", "record"),
    [
        ("records", _PAIR),
        ("preference", _PAIR),
        ("messages", _CHAT),
        ("alpaca", _SPLIT),
        ("plain", instruction("Q", "A")),
    ],
)
def test_what_a_format_writes_it_reads_back(name: FormatName, record: Record) -> None:
    form = FORMATS[name]
    assert form.write is not None
    (back,) = form.read(form.write(record))
    assert back == record


def test_labels_that_a_prompt_outgrew_are_not_written() -> None:
    write = FORMATS["alpaca"].write
    assert write is not None
    evolved = instruction("Sort in reverse.", "b a", labels={"instruction": "Sort.", "input": "b a"})
    assert write(evolved) == {"instruction": "Sort in reverse.", "input": "", "output": "b a"}


@pytest.mark.parametrize("row", [{"instruction": 1, "input": ""}, {"instruction": "x", "input": "", "output": 3}])
def test_a_row_of_wrong_types_is_a_value_error(row: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="not a text"):
        FORMATS["alpaca"].read(row)


def test_columns_without_a_place_become_labels() -> None:
    (record,) = FORMATS["plain"].read({"question": "Q", "answer": "A", "topic": "maths", "empty": None})
    assert record.labels == {"topic": "maths"}
