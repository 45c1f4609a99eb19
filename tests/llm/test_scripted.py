from __future__ import annotations

from pathlib import Path

import pytest

from datagen.errors import ConfigError, LLMError
from datagen.llm.base import Reply, Sampling
from datagen.llm.scripted import scripted

from .conftest import ask


async def test_replies_come_in_the_order_of_the_requests_and_are_counted() -> None:
    backend = scripted(replies=["one", Reply("two", "length")])
    first = await backend.chat(ask("a"), Sampling())
    second = await backend.chat(ask("b"), Sampling())
    assert (first.text, second.text, second.finish_reason) == ("one", "two", "length")
    assert backend.requests == 2


async def test_a_request_too_many_names_the_prompt() -> None:
    backend = scripted(replies=[])
    with pytest.raises(ConfigError, match="one more request than the 0 replies: 'hello'"):
        await backend.chat(ask("hello"), Sampling())


async def test_an_error_in_the_script_is_raised() -> None:
    backend = scripted(replies=[LLMError("http_429", "slow down", attempts=3)])
    with pytest.raises(LLMError) as caught:
        await backend.chat(ask("a"), Sampling())
    assert (caught.value.reason, caught.value.attempts) == ("http_429", 3)


async def test_a_function_sees_messages_sampling_and_sample() -> None:
    backend = scripted(function=lambda messages, sampling, sample: f"{messages[0].content}{sampling.seed}{sample}")
    assert (await backend.chat(ask("a"), Sampling(seed=7), 2)).text == "a72"


async def test_rules_match_in_order_and_lists_answer_by_sample(tmp_path: Path) -> None:
    path = tmp_path / "rules.jsonl"
    path.write_text(
        '{"match": "poem", "reply": ["x", "y"]}\n{"match": "fail", "error": "timeout"}\n{"match": "", "reply": "z"}\n'
    )
    backend = scripted(path=path)
    assert [(await backend.chat(ask("a poem"), Sampling(), k)).text for k in range(3)] == ["x", "y", "x"]
    assert (await backend.chat(ask("else"), Sampling())).text == "z"
    with pytest.raises(LLMError, match="timeout"):
        await backend.chat(ask("fail"), Sampling())


async def test_an_edited_script_is_another_identity(tmp_path: Path) -> None:
    path = tmp_path / "rules.jsonl"
    path.write_text('{"match": "", "reply": "a"}\n')
    before = scripted(path=path).identity
    path.write_text('{"match": "", "reply": "b"}\n')
    assert scripted(path=path).identity != before
    assert scripted(replies=["a"]).identity != scripted(replies=["b"]).identity


def test_exactly_one_script_must_be_given(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="exactly one"):
        scripted()
    with pytest.raises(ConfigError, match="exactly one"):
        scripted(replies=[], path=tmp_path)


@pytest.mark.parametrize("line", ['{"match": "("}', '{"mach": "a"}', "not json"])
def test_a_malformed_script_is_the_users_error(tmp_path: Path, line: str) -> None:
    path = tmp_path / "rules.jsonl"
    path.write_text(line + "\n")
    with pytest.raises(ConfigError, match=r"rules\.jsonl"):
        scripted(path=path)
