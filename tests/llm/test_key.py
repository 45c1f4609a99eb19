"""What makes a call a new one, and what does not: every argument of a back end, changed one by one.

``test_client.py`` does the same with sampling, messages and the number of the sample.
"""

from __future__ import annotations

import inspect
import shutil
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest
from aiohttp import web

from datagen.llm.base import Sampling
from datagen.llm.client import LLM
from datagen.llm.journal import Journal
from datagen.llm.openai import openai
from datagen.llm.transformers import transformers

from .conftest import FakeServer, ask

NEW = {"model": "other", "base_url": "the other server's", "api": "completions", "extra_body": {"min_p": 0.1}}
SAME: dict[str, Any] = {
    "api_key_env": "ANOTHER_KEY",
    "concurrency": 2,
    "timeout_s": 5.0,
    "max_attempts": 2,
    "requests_per_minute": 6000,
    "tokens_per_minute": 600_000,
    "headers": {"X-Team": "t"},
}


@pytest.fixture
async def servers(server: FakeServer) -> AsyncIterator[list[FakeServer]]:
    other = FakeServer()
    await other.start()
    choice = {"text": "hi", "message": {"role": "assistant", "content": "hi"}}
    for one in (server, other):
        one.plan = lambda _: web.json_response({"choices": [choice]})
    yield [server, other]
    await other.stop()


async def calls(servers: list[FakeServer], journal: Journal, change: dict[str, Any]) -> int:
    """Requests that reach the servers when one question is asked with and without the change."""
    base = {"model": "m", "base_url": servers[0].url}
    for arguments in (base, {**base, **change}):
        llm = LLM(openai(**arguments), journal)
        await llm.chat(ask("q"), Sampling(temperature=1.0))
        await llm.close()
    return sum(len(one.bodies) for one in servers)


def test_every_argument_of_openai_is_tried() -> None:
    assert {*NEW, *SAME} == inspect.signature(openai).parameters.keys()


@pytest.mark.parametrize("name", NEW)
async def test_what_can_change_the_answer_is_a_new_call(servers: list[FakeServer], journal: Journal, name: str) -> None:
    changed = servers[1].url if name == "base_url" else NEW[name]
    assert await calls(servers, journal, {name: changed}) == 2


@pytest.mark.parametrize("name", SAME)
async def test_how_a_server_is_asked_is_no_new_call(
    servers: list[FakeServer], journal: Journal, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ANOTHER_KEY", "k")
    assert await calls(servers, journal, {name: SAME[name]}) == 1


@pytest.mark.parametrize(
    ("change", "is_new"),
    [
        ({"model": "edited"}, True),
        ({"model": "moved"}, False),
        ({"dtype": "bfloat16"}, True),
        ({"device": "cuda"}, True),
        ({"concurrency": 2}, False),
        ({"max_batch_tokens": 9}, False),
        ({"threads": 1}, False),
        ({"trust_remote_code": True}, False),
    ],
    ids=str,
)
def test_a_model_in_this_process_is_its_weights_and_how_it_computes(
    tiny_model: Path, tmp_path: Path, change: dict[str, Any], is_new: bool
) -> None:
    for name in ("edited", "moved"):
        shutil.copytree(tiny_model, tmp_path / name)
    weights = tmp_path / "edited" / "model.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x7f")
    if "model" in change:
        change = {"model": str(tmp_path / change["model"])}
    base = {"model": str(tiny_model), "device": "cpu"}
    assert (transformers(**base).identity != transformers(**{**base, **change}).identity) == is_new


def test_a_hub_model_of_another_revision_is_another() -> None:
    names = {str(transformers(model="org/name", device="cpu", revision=one).identity) for one in (None, "main", "v2")}
    assert len(names) == 2
