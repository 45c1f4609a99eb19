from __future__ import annotations

import pytest

from datagen.text.families import family


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("Qwen/Qwen3-8B", "Qwen/Qwen2.5-Coder-0.5B"),
        ("meta-llama/Meta-Llama-3-8B-Instruct", "unsloth/Llama-3.2-1B"),
        ("gpt-4o-mini", "openai/o3-mini"),
        ("gpt-4o", "chatgpt-4o-latest"),
        ("mistralai/Mixtral-8x7B", "Mistral-7B-v0.1"),
        ("models/Qwen3-8B/", "qwen"),
        ("tiny-teacher", "tiny-base"),
    ],
)
def test_two_models_of_one_maker_s_line_are_one_family(one: str, other: str) -> None:
    assert family(one) == family(other) != ""


@pytest.mark.parametrize(("one", "other"), [("Qwen/Qwen3-8B", "HuggingFaceTB/SmolLM3-3B"), ("gpt-4o", "claude-opus")])
def test_others_are_not(one: str, other: str) -> None:
    assert family(one) != family(other)


@pytest.mark.parametrize("name", ["", "/", "3-8B", "..."])
def test_a_name_without_letters_in_front_is_of_no_family(name: str) -> None:
    assert family(name) == ""
