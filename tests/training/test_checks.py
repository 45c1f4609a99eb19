"""What every stage refuses before any weights are loaded: its rows, and a tokenizer or a context that does not fit."""

from __future__ import annotations

import importlib
import json
import random
from pathlib import Path
from typing import Any

import pytest

from datagen.errors import ConfigError
from datagen.record import Answer, Message, Record, instruction
from datagen.training.method import Method
from datagen.training.rows import write_rows
from datagen.training.tokens import check_room, load_tokenizer

PAIRED = ("dpo", "reward")
ONLINE = ("grpo", "rloo", "ppo")
STAGES = ("sft", *PAIRED, *ONLINE)
GOOD = instruction("aaaa").with_answers([Answer("b"), Answer("bbb")])
HEADLESS = Record(prompt=(Message("system", "s"),), answers=GOOD.answers)


def of(name: str) -> Method:
    method: Method = importlib.import_module(f"datagen.training.{name}").METHOD
    return method


def refused(name: str, record: Record, out: Path) -> dict[str, int]:
    written = write_rows([GOOD, record], of(name).convert, out, eval_share=0, rng=random.Random(0))  # type: ignore[arg-type]
    assert written.rows == 1
    return dict(written.refused)


@pytest.mark.parametrize("name", STAGES)
def test_a_row_without_a_question_is_counted_and_left_out(name: str, tmp_path: Path) -> None:
    assert refused(name, HEADLESS, tmp_path) == {"prompt_without_user_turn": 1}


@pytest.mark.parametrize("name", STAGES)
def test_nothing_but_unusable_rows_is_the_users_mistake(name: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="nothing to train on: prompt_without_user_turn 2"):
        write_rows([HEADLESS] * 2, of(name).convert, tmp_path, eval_share=0, rng=random.Random(0))  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("name", "record", "why"),
    [
        ("sft", instruction("q", " "), "empty_answer"),
        ("sft", instruction("q"), "no_answer"),
        *((name, instruction("q").with_answers([Answer("a"), Answer("\n")]), "empty_answer") for name in PAIRED),
        *((name, instruction("q").with_answers([Answer("a"), Answer("a ")]), "equal_answers") for name in PAIRED),
        *((name, instruction("q", "a"), "fewer_than_two_answers") for name in PAIRED),
        *((name, instruction(" "), "empty_prompt") for name in ONLINE),
    ],
)
def test_rows_that_teach_nothing_are_counted_by_reason(name: str, record: Record, why: str, tmp_path: Path) -> None:
    assert refused(name, record, tmp_path) == {why: 1}


def written(name: str, out: Path) -> Path:
    write_rows([GOOD], of(name).convert, out, eval_share=0, rng=random.Random(0))  # type: ignore[arg-type]
    return out / "train.jsonl"


@pytest.mark.parametrize("name", STAGES)
def test_a_context_without_room_for_any_answer_is_refused(name: str, tiny_llama: Path, tmp_path: Path) -> None:
    tokenizer = load_tokenizer(str(tiny_llama), None, {})
    # The prompt is 7 tokens; GOOD's longer answer makes it 11.
    full = 6 if name in ONLINE else 10 if name == "reward" else 7
    with pytest.raises(ConfigError, match="no row has room for its answer"):
        check_room(tokenizer, written(name, tmp_path), full)
    assert check_room(tokenizer, written(name, tmp_path), 11)["truncated_share"] == 0


def test_a_pair_is_cut_where_its_rejected_answer_is(tiny_llama: Path, tmp_path: Path) -> None:
    tokenizer = load_tokenizer(str(tiny_llama), None, {})
    assert check_room(tokenizer, written("dpo", tmp_path), 10) == {"truncated_share": 1.0, "no_room_share": 0.0}


@pytest.mark.parametrize("name", STAGES)
def test_a_template_that_cannot_write_the_rows_is_the_users_mistake(
    name: str, tiny_llama: Path, tmp_path: Path
) -> None:
    template = tmp_path / "t.jinja"
    template.write_text("{{ raise_exception('no user turns, please') }}")
    tokenizer = load_tokenizer(str(tiny_llama), str(template), {})
    with pytest.raises(ConfigError, match=r"chat template cannot write .*no user turns, please"):
        check_room(tokenizer, written(name, tmp_path), 99)


def test_a_tokenizer_without_an_end_token_is_refused(tiny_llama: Path, tmp_path: Path) -> None:
    for file in tiny_llama.glob("*token*"):
        (tmp_path / file.name).write_bytes(file.read_bytes())
    (tmp_path / "config.json").write_bytes((tiny_llama / "config.json").read_bytes())
    config = json.loads((tmp_path / "tokenizer_config.json").read_bytes())
    special: dict[str, Any] = {key: value for key, value in config.items() if key != "eos_token"}
    (tmp_path / "tokenizer_config.json").write_text(json.dumps(special))
    with pytest.raises(ConfigError, match="no end-of-text token"):
        load_tokenizer(str(tmp_path), None, {})
