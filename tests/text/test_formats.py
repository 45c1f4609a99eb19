from __future__ import annotations

import pytest

from datagen.record import instruction
from datagen.text.formats import FORMATS, detect


def test_a_conversational_completion_and_an_implicit_prompt_are_read() -> None:
    turns = [{"role": "user", "content": "1 + 1?"}]
    (row,) = FORMATS["plain"].read({"prompt": turns, "completion": [{"role": "assistant", "content": "2"}]})
    assert row == instruction("1 + 1?", "2")
    (pair,) = FORMATS["preference"].read({"chosen": "1 + 1? two", "rejected": "1 + 1? one"})
    assert (pair.instruction, [answer.content for answer in pair.answers]) == ("1 + 1? ", ["two", "one"])
    with pytest.raises(KeyError, match="prompt"):
        FORMATS["preference"].read({"chosen": "two", "rejected": "one"})


def test_rows_of_plain_text_are_prompts() -> None:
    row = {"text": "Once upon a time."}
    assert detect(row) == "plain"
    assert FORMATS["plain"].read(row) == [instruction("Once upon a time.")]
    assert FORMATS["plain"].read({"prompt": "Q", "text": "T"})[0].labels == {"text": "T"}


@pytest.mark.parametrize("row", [{"instruction": 1, "input": ""}, {"instruction": "x", "input": "", "output": 3}])
def test_a_row_of_wrong_types_is_a_value_error(row: dict[str, object]) -> None:
    with pytest.raises(ValueError, match="not a text"):
        FORMATS["alpaca"].read(row)


def test_columns_without_a_place_become_labels() -> None:
    (record,) = FORMATS["plain"].read({"question": "Q", "answer": "A", "topic": "maths", "empty": None})
    assert record.labels == {"topic": "maths"}
