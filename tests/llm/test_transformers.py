from __future__ import annotations

import asyncio
import math
import random
import shutil
from collections.abc import AsyncIterator, Callable, Sequence
from pathlib import Path
from typing import Any

import pytest

from datagen.errors import ConfigError, LLMError
from datagen.llm.base import Reply, Sampling
from datagen.llm.transformers import Transformers, transformers
from datagen.stage import ModelName

from .conftest import CHATML, ask

torch = pytest.importorskip("torch")

rng = random.Random(0)
PROMPTS = ["".join(rng.choice("abcdefgh ") for _ in range(rng.randint(1, 90))) for _ in range(12)]
GREEDY = Sampling(temperature=0, max_tokens=24)


@pytest.fixture(scope="session")
def reference(tiny_model: Path) -> tuple[Any, Any]:
    from transformers import AutoModelForCausalLM, AutoTokenizer

    return AutoModelForCausalLM.from_pretrained(tiny_model).eval(), AutoTokenizer.from_pretrained(tiny_model)


@pytest.fixture
async def backend(tiny_model: Path) -> AsyncIterator[Callable[..., Transformers]]:
    opened = []

    def open_backend(**options: Any) -> Transformers:
        opened.append(transformers(model=ModelName(str(tiny_model)), device="cpu", threads=1, **options))
        return opened[-1]

    yield open_backend
    for one in opened:
        await one.close()


async def ask_all(llm: Transformers, sampling: Sampling, prompts: Sequence[str] = PROMPTS) -> list[Reply]:
    return await asyncio.gather(*[llm.chat(ask(prompt), sampling) for prompt in prompts])


def prompt_tokens(tokenizer: Any, prompt: str) -> Any:
    chat = [{"role": "user", "content": prompt}]
    return tokenizer.apply_chat_template(chat, add_generation_prompt=True, return_tensors="pt", return_dict=False)


async def test_greedy_replies_are_those_of_generate(
    backend: Callable[..., Transformers], reference: tuple[Any, Any]
) -> None:
    model, tokenizer = reference
    replies = await ask_all(backend(concurrency=8), GREEDY)
    for prompt, reply in zip(PROMPTS, replies, strict=True):
        tokens = prompt_tokens(tokenizer, prompt)
        expected = model.generate(tokens, attention_mask=tokens != -1, do_sample=False, max_new_tokens=24)
        new = expected[0, tokens.shape[1] :]
        assert reply.text == tokenizer.decode(new, skip_special_tokens=True)
        assert reply.usage.prompt_tokens == tokens.shape[1]
        assert reply.finish_reason == ("stop" if 2 in new else "length")


@pytest.mark.parametrize(
    "options", [{}, {"top_p": 0.8}, {"top_k": 5}, {"top_p": 0.9, "top_k": 20, "presence_penalty": 1.0}]
)
async def test_a_reply_does_not_depend_on_its_batch(
    backend: Callable[..., Transformers], options: dict[str, Any]
) -> None:
    sampling = Sampling(seed=5, max_tokens=24, temperature=1.2, **options)
    together = await ask_all(backend(concurrency=16), sampling)
    few = await ask_all(backend(concurrency=3), sampling, PROMPTS[::-1])
    alone = backend(concurrency=1)
    assert [reply.text for reply in together] == [reply.text for reply in few][::-1]
    assert together[:4] == [await alone.chat(ask(prompt), sampling) for prompt in PROMPTS[:4]]


async def test_seed_and_sample_choose_the_reply(backend: Callable[..., Transformers]) -> None:
    llm = backend()
    asked = [(1, 0), (1, 0), (2, 0), (1, 1), (None, 0), (None, 0), (None, 1)]
    replies = [(await llm.chat(ask("q"), Sampling(seed=seed, max_tokens=16), sample)).text for seed, sample in asked]
    assert replies[0] == replies[1]
    assert replies[4] == replies[5]
    assert len(set(replies)) == 5


async def test_logprobs_are_those_of_the_model_at_temperature_one(
    backend: Callable[..., Transformers], reference: tuple[Any, Any]
) -> None:
    model, tokenizer = reference
    sampling = Sampling(temperature=0.5, seed=3, max_tokens=6, logprobs=3)
    llm = backend()
    reply, _ = await asyncio.gather(llm.chat(ask("hello"), sampling), llm.chat(ask("other one"), GREEDY))
    logits = model(prompt_tokens(tokenizer, "hello")).logits[0, -1].log_softmax(-1)
    assert len(reply.logprobs) == reply.usage.completion_tokens
    assert list(reply.logprobs[0].top.values()) == pytest.approx(logits.topk(3).values.tolist(), abs=1e-4)
    assert all(one.logprob <= 0 and math.isfinite(one.logprob) for one in reply.logprobs)


async def test_a_stop_string_ends_the_reply_and_is_cut(backend: Callable[..., Transformers]) -> None:
    llm = backend()
    whole = (await llm.chat(ask("q"), GREEDY)).text
    stop = whole[5:7]
    reply = await llm.chat(ask("q"), Sampling(temperature=0, max_tokens=24, stop=("never there", stop)))
    assert (reply.text, reply.finish_reason) == (whole[: whole.index(stop)], "stop")


async def test_a_prompt_beyond_the_context_is_refused_and_a_reply_is_cut_at_it(
    backend: Callable[..., Transformers],
) -> None:
    llm = backend()
    with pytest.raises(LLMError, match="context of 256") as caught:
        await llm.chat(ask("x" * 300), GREEDY)
    assert caught.value.reason == "context_length"
    reply = await llm.chat(ask("x" * 200), Sampling(seed=1))
    assert reply.usage.prompt_tokens + reply.usage.completion_tokens <= 256


async def test_a_small_token_budget_only_makes_smaller_batches(backend: Callable[..., Transformers]) -> None:
    assert await ask_all(backend(max_batch_tokens=150), GREEDY) == await ask_all(backend(), GREEDY)


async def test_cancelled_callers_leave_the_others_alone(backend: Callable[..., Transformers]) -> None:
    llm = backend(concurrency=4)
    calls = [asyncio.ensure_future(llm.chat(ask(prompt), GREEDY)) for prompt in PROMPTS]
    await asyncio.sleep(0.01)
    for call in calls[::2]:
        call.cancel()
    kept = await asyncio.gather(*calls[1::2])
    assert [reply.text for reply in kept] == [reply.text for reply in await ask_all(llm, GREEDY, PROMPTS[1::2])]


async def test_what_it_cannot_do_is_an_error(backend: Callable[..., Transformers]) -> None:
    with pytest.raises(ConfigError, match="neither schema, choice nor extra"):
        await backend().chat(ask("q"), Sampling(schema={"type": "object"}))


async def test_closing_ends_the_calls_under_way(backend: Callable[..., Transformers]) -> None:
    llm = backend()
    call = asyncio.ensure_future(llm.chat(ask("q"), Sampling(max_tokens=200)))
    await asyncio.sleep(0)
    await llm.close()
    with pytest.raises(LLMError, match="closed"):
        await call


async def test_a_model_that_cannot_be_loaded_is_told_to_every_caller(tiny_model: Path, tmp_path: Path) -> None:
    broken = tmp_path / "broken"
    shutil.copytree(tiny_model, broken)
    (broken / "model.safetensors").write_bytes(b"rubbish")
    llm = transformers(model=ModelName(str(broken)), device="cpu")
    for _ in range(2):
        with pytest.raises(ConfigError, match="cannot be loaded"):
            await llm.chat(ask("q"), GREEDY)
    await llm.close()


def test_a_model_without_chat_template_or_safetensors_is_refused(tiny_model: Path, tmp_path: Path) -> None:
    mute = tmp_path / "mute"
    shutil.copytree(tiny_model, mute)
    (mute / "chat_template.jinja").unlink()
    assert CHATML not in (mute / "tokenizer_config.json").read_text()
    with pytest.raises(ConfigError, match="no chat template"):
        transformers(model=ModelName(str(mute)), device="cpu")
    (mute / "model.safetensors").rename(mute / "pytorch_model.bin")
    with pytest.raises(ConfigError, match=r"no \.safetensors"):
        transformers(model=ModelName(str(mute)), device="cpu")


def test_the_identity_is_the_files_and_not_where_they_lie(tiny_model: Path, tmp_path: Path) -> None:
    shutil.copytree(tiny_model, tmp_path / "moved" / "tiny")
    one, other = (
        transformers(model=ModelName(str(folder)), device="cpu") for folder in (tiny_model, tmp_path / "moved" / "tiny")
    )
    assert one.identity == other.identity
    assert one.model == other.model
    config = tmp_path / "moved" / "tiny" / "generation_config.json"
    config.write_text(config.read_text().replace("2", "3"))
    assert transformers(model=ModelName(str(config.parent)), device="cpu").identity != one.identity
    assert str(tiny_model.parent) not in str(one.identity)
