import hashlib
import json
import random
from pathlib import Path

import pytest

from datagen.errors import ConfigError
from datagen.record import Answer, Message, Record, instruction
from datagen.training.rows import preference_row, prompt_row, ranking_row, sft_row, write_rows


def pair(chosen: str, rejected: str) -> Record:
    return instruction("Q").with_answers([Answer(chosen), Answer(rejected)])


def test_a_dialogue_becomes_messages_with_the_first_answer_last() -> None:
    prompt = (Message("system", "s"), Message("user", "a"), Message("assistant", "b"), Message("user", "c"))
    row = sft_row(Record(prompt=prompt, answers=(Answer("d"), Answer("e"))))
    assert isinstance(row, dict)
    assert [turn["content"] for turn in row["messages"]] == ["s", "a", "b", "c", "d"]
    assert row["messages"][-1]["role"] == "assistant"


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (instruction("Q"), "no_answer"),
        (instruction("Q", " \n"), "empty_answer"),
        (Record(prompt=(Message("assistant", "x"),), answers=(Answer("y"),)), "prompt_without_user_turn"),
    ],
)
def test_what_cannot_be_trained_on_says_why(record: Record, reason: str) -> None:
    assert sft_row(record) == reason


def test_a_pair_is_chosen_and_rejected_in_the_order_of_the_answers() -> None:
    row = preference_row(pair("good", "bad"))
    assert row == {
        "prompt": [{"role": "user", "content": "Q"}],
        "chosen": [{"role": "assistant", "content": "good"}],
        "rejected": [{"role": "assistant", "content": "bad"}],
    }


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (instruction("Q", "one"), "fewer_than_two_answers"),
        (pair("same", " same\n"), "equal_answers"),
        (pair("good", " "), "empty_answer"),
    ],
)
def test_a_pair_that_teaches_nothing_is_refused(record: Record, reason: str) -> None:
    assert preference_row(record) == reason


def test_rows_are_written_counted_and_hashed(tmp_path: Path) -> None:
    records = [instruction("a", "b", source="seed"), instruction("c"), instruction("d", "e", source="machine")]
    written = write_rows(records, sft_row, tmp_path, eval_share=0, rng=random.Random(0))
    assert (written.rows, written.eval_rows, dict(written.refused)) == (2, 0, {"no_answer": 1})
    assert written.sources == {"seed": 1, "machine": 1}
    assert written.digest == hashlib.sha256((tmp_path / "train.jsonl").read_bytes()).hexdigest()
    assert not (tmp_path / "eval.jsonl").exists()


def test_the_held_out_share_is_disjoint_and_drawn_from_the_seed(tmp_path: Path) -> None:
    records = [instruction(str(number), "x") for number in range(50)]

    def held_out(seed: int) -> set[str]:
        written = write_rows(records, sft_row, tmp_path, eval_share=0.2, rng=random.Random(seed))
        assert (written.rows, written.eval_rows) == (40, 10)
        files = [(tmp_path / name).read_text().splitlines() for name in ("eval.jsonl", "train.jsonl")]
        held, train = ({json.loads(line)["messages"][0]["content"] for line in lines} for lines in files)
        assert not held & train
        return held

    assert held_out(1) == held_out(1) != held_out(2)


def test_nothing_left_to_train_on_names_the_reasons(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="no_answer 2"):
        write_rows([instruction("a"), instruction("b")], sft_row, tmp_path, eval_share=0, rng=random.Random(0))


@pytest.mark.parametrize("share", [-0.1, 1, 2])
def test_a_share_outside_its_range_is_refused(tmp_path: Path, share: float) -> None:
    with pytest.raises(ConfigError, match="eval_share"):
        write_rows([instruction("a", "b")], sft_row, tmp_path, eval_share=share, rng=random.Random(0))


def ranking(*texts: str) -> Record:
    return instruction("Q").with_answers([Answer(text) for text in texts])


def test_a_ranking_keeps_all_answers_in_order() -> None:
    row = ranking_row(ranking("a", "b", "c"))
    assert isinstance(row, dict)
    assert [answer[0]["content"] for answer in row["answers"]] == ["a", "b", "c"]


@pytest.mark.parametrize(
    ("record", "reason"),
    [
        (ranking("a"), "fewer_than_two_answers"),
        (ranking("a", "a "), "equal_answers"),
        (ranking("a", "", "b"), "empty_answer"),
    ],
)
def test_a_ranking_that_contradicts_itself_is_refused(record: Record, reason: str) -> None:
    assert ranking_row(record) == reason


def test_of_equal_answers_and_of_equal_ranks_the_first_stands_for_all() -> None:
    scored = [Answer("a").scored("rank", 1.0), Answer("b").scored("rank", 0.5), Answer("c").scored("rank", 0.5)]
    for record in (ranking("a", "b", "a "), instruction("Q").with_answers(scored)):
        row = ranking_row(record)
        assert isinstance(row, dict)
        assert [answer[0]["content"] for answer in row["answers"]] == ["a", "b"]
    assert ranking_row(instruction("Q").with_answers(scored[1:])) == "equal_answers"


def test_a_prompt_alone_needs_words() -> None:
    assert prompt_row(instruction("Q", "A")) == {"prompt": [{"role": "user", "content": "Q"}]}
    assert prompt_row(instruction(" \n")) == "empty_prompt"
    assert prompt_row(Record(prompt=(Message("system", "x"),))) == "prompt_without_user_turn"
