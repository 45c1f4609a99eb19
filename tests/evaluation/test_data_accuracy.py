from pathlib import Path

import pytest

from datagen.errors import ConfigError
from datagen.evaluation.data_accuracy import data_accuracy
from datagen.record import Answer, Message, Record, instruction


def doubles(text: str, answer: str) -> bool | None:
    return None if text == "?" else answer == text * 2


RAW = [instruction("a", "aa"), instruction("b", "b"), instruction("?", "x"), instruction("c")]


def test_every_row_set_gets_its_own_counts(tmp_path: Path) -> None:
    sets: dict[str, list[Record]] = {"raw": RAW, "filtered": RAW[:1]}
    metrics = data_accuracy(sets, tmp_path, oracle=f"{__name__}:doubles")
    raw = {"accuracy": 0.25, "stderr": 0.2165, "n": 4, "right": 1, "wrong": 1, "unanswerable": 1, "no_answer": 1}
    assert metrics["raw"] == raw
    assert metrics["filtered"]["accuracy"] == 1.0
    assert len((tmp_path / "checked.jsonl").read_text().splitlines()) == 5


def test_of_pairs_with_one_right_answer_the_order_is_told(tmp_path: Path) -> None:
    answers = [("aa", "a"), ("a", "aa"), ("aa", "b"), ("aa", "aa"), ("x", "y")]
    rows = [Record((Message("user", "a"),), (Answer(first), Answer(second))) for first, second in answers]
    found = data_accuracy({"pairs": rows}, tmp_path, oracle=f"{__name__}:doubles")["pairs"]
    assert found["decided_pairs"] == 3
    assert found["right_first"] == 0.6667
    assert found["n"] == 5


def test_no_rows_at_all_is_a_mistake(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no rows"):
        data_accuracy({"raw": []}, tmp_path, oracle=f"{__name__}:doubles")
