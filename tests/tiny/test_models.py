"""The shipped models: small, complete, and worth at least what their cards' readers rely on."""

from __future__ import annotations

import warnings
from pathlib import Path
from random import Random

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

import torch
from transformers import AutoTokenizer

from datagen.record import Message
from datagen.tiny import grading, measure, oracle, roles, world
from datagen.tiny.build import MODELS
from datagen.tiny.generate import Model, render

FILES = {
    "config.json",
    "generation_config.json",
    "model.safetensors",
    "tokenizer.json",
    "tokenizer_config.json",
    "chat_template.jinja",
    "README.md",
}


@pytest.fixture(scope="module")
def teacher() -> Model:
    torch.set_num_threads(1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return Model(MODELS / "teacher")


@pytest.fixture(scope="module")
def base() -> Model:
    torch.set_num_threads(1)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        return Model(MODELS / "base")


@pytest.mark.parametrize(
    ("name", "most_parameters", "most_bytes"), [("teacher", 5_000_000, 10_000_000), ("base", 1_500_000, 3_000_000)]
)
def test_the_folders_are_whole_and_small(name: str, most_parameters: int, most_bytes: int) -> None:
    folder: Path = MODELS / name
    assert {path.name for path in folder.iterdir()} == FILES
    assert sum(path.stat().st_size for path in folder.iterdir()) <= most_bytes
    assert sum(p.numel() for p in Model(folder).model.parameters()) <= most_parameters


def test_both_models_share_one_tokenizer() -> None:
    one, other = ((MODELS / name / "tokenizer.json").read_bytes() for name in ("teacher", "base"))
    assert one == other


def test_the_chat_template_marks_the_assistants_words_and_its_end_of_turn() -> None:
    vocabulary = AutoTokenizer.from_pretrained(MODELS / "teacher")
    chat = [{"role": "user", "content": "Even or odd number?\n2"}, {"role": "assistant", "content": "even"}]
    tokens = vocabulary.apply_chat_template(chat, return_assistant_tokens_mask=True, return_dict=True)
    marked = [token for token, mark in zip(tokens["input_ids"], tokens["assistant_masks"], strict=True) if mark]
    assert vocabulary.convert_ids_to_tokens(marked) == ["Ġeven", "<|end|>"]
    assert vocabulary.decode(marked, skip_special_tokens=True) == "even"
    assert vocabulary.eos_token == "<|end|>"
    assert vocabulary.pad_token not in (None, "<|end|>")
    asked = vocabulary.apply_chat_template(chat[:1], add_generation_prompt=True, tokenize=False)
    assert asked == render([Message(**chat[0])])


def test_text_survives_the_tokenizer() -> None:
    vocabulary = AutoTokenizer.from_pretrained(MODELS / "teacher")
    for text in ("Sort the words pear fig.\nhen", "Is 42 even?", "é 漢字 😀", "a\nb"):
        assert vocabulary.decode(vocabulary(f" {text}")["input_ids"]) == text


def test_the_teacher_answers_held_out_tasks(teacher: Model) -> None:
    items = world.test_items(200, 3)
    given = teacher.reply([[roles.user(item.prompt)] for item in items])
    assert measure.share([bool(oracle.check(*pair)) for pair in _pairs(items, given)]) >= 0.85


def test_the_teacher_proposes_answerable_tasks(teacher: Model) -> None:
    scores = measure.proposals(teacher, count=48)
    assert scores["lines of those asked"] >= 0.9
    assert scores["answerable"] >= 0.85


def test_the_teacher_grades_better_than_chance(teacher: Model) -> None:
    scores = measure.grading(grading.judge(teacher, grading.own_answers(teacher, Random(1), 150)))
    assert scores["AUC of the grade"] >= 0.6
    assert scores["AUC of the expected grade"] >= 0.8


def test_the_teacher_tells_right_answers_from_corrupted_ones(teacher: Model) -> None:
    scores = grading.compare(teacher, grading.corrupted_pairs(Random(2), 60))
    assert scores["right by expected grades"] >= 0.8


def test_the_base_answers_no_instruction(base: Model) -> None:
    items = world.test_items(100, 3)
    given = base.reply([[roles.user(item.prompt)] for item in items])
    assert measure.share([bool(oracle.check(*pair)) for pair in _pairs(items, given)]) <= 0.03


def _pairs(items: list[world.Item], given: list[str]) -> list[tuple[str, str]]:
    return [(item.prompt, text) for item, text in zip(items, given, strict=True)]
