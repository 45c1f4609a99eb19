from __future__ import annotations

import asyncio
import math
import time
from collections.abc import AsyncIterator, Callable
from email.utils import formatdate
from typing import Any

import pytest
from aiohttp import web
from aiohttp.test_utils import unused_port

from datagen import config
from datagen.errors import ConfigError, LLMError, ServerGone
from datagen.llm import openai as module
from datagen.llm.base import Sampling, TokenLogprob, Usage
from datagen.llm.client import LLM
from datagen.llm.journal import Journal
from datagen.llm.openai import OpenAI, openai

from .conftest import FakeServer, ask, completion, refusal

Open = Callable[..., OpenAI]


@pytest.fixture
async def backend(server: FakeServer, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Open]:
    """Opens back ends on the fake server, with short pauses between tries."""
    monkeypatch.setattr(module, "_BASE_DELAY_S", 0.002)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    opened = []

    def open_backend(**options: Any) -> OpenAI:
        opened.append(openai(**{"model": "m", "base_url": server.url, "max_attempts": 4, **options}))
        return opened[-1]

    yield open_backend
    for one in opened:
        await one.close()


def first(response: web.Response | str, times: int = 1) -> Callable[[int], web.Response | str | None]:
    def plan(number: int) -> web.Response | str | None:
        if number >= times:
            return None
        if isinstance(response, str):
            return response
        return web.Response(body=response.body, status=response.status, headers=response.headers)

    return plan


async def test_a_request_carries_what_was_set_and_nothing_else(server: FakeServer, backend: Open) -> None:
    llm = backend(extra_body={"min_p": 0.1, "a": 1}, headers={"X-Team": "t"})
    await llm.chat(ask("hi"), Sampling())
    await llm.chat(
        ask("hi"),
        Sampling(0.5, 0.9, 5, 7, ("x",), 3, 0.1, 0.2, 2, {"type": "object"}, ("y", "n"), {"a": 2}),
    )
    plain = {"model": "m", "messages": [{"role": "user", "content": "hi"}], "min_p": 0.1, "a": 1}
    schema = {"name": "reply", "schema": {"type": "object"}, "strict": True}
    full = {"temperature": 0.5, "top_p": 0.9, "top_k": 5, "max_tokens": 7, "stop": ["x"], "seed": 3}
    full |= {"presence_penalty": 0.1, "frequency_penalty": 0.2, "logprobs": True, "top_logprobs": 2, "a": 2}
    full |= {"response_format": {"type": "json_schema", "json_schema": schema}}
    full |= {"structured_outputs": {"choice": ["y", "n"]}}
    assert server.bodies == [plain, plain | full]
    assert server.headers[0]["X-Team"] == "t"
    assert "Authorization" not in server.headers[0]


async def test_a_base_model_gets_bare_text_and_its_reply_is_read(server: FakeServer, backend: Open) -> None:
    llm = backend(api="completions")
    found = {"tokens": ["hi", "!"], "token_logprobs": [-0.5, None], "top_logprobs": [{"hi": -0.5, "ho": -1.0}, None]}
    choice = {"index": 0, "text": "hi!", "finish_reason": "length", "logprobs": found}
    usage = {"prompt_tokens": 3, "completion_tokens": 2}
    server.plan = lambda _: web.json_response({"choices": [choice], "usage": usage})
    reply = await llm.chat([*ask("one"), *ask("two")], Sampling(max_tokens=5, logprobs=1, schema={"type": "array"}))
    wanted = {"model": "m", "prompt": "one\n\ntwo", "max_tokens": 5, "logprobs": 1}
    assert server.bodies == [{**wanted, "structured_outputs": {"json": {"type": "array"}}}]
    assert (reply.text, reply.finish_reason, reply.usage) == ("hi!", "length", Usage(3, 2))
    assert reply.logprobs == (TokenLogprob("hi", -0.5, {"hi": -0.5, "ho": -1.0}),)
    assert llm.identity != backend().identity


@pytest.mark.parametrize("body", [{"choices": []}, {}, {"choices": [{"message": {"content": "x"}}]}])
async def test_what_is_no_completion_is_tried_again(server: FakeServer, backend: Open, body: dict[str, Any]) -> None:
    good = {"choices": [{"text": "hi"}]}
    server.plan = lambda number: web.json_response(body if number == 0 else good)
    assert (await backend(api="completions").chat(ask("q"), Sampling())).text == "hi"


async def test_a_field_that_is_null_is_left_out(server: FakeServer, backend: Open) -> None:
    await backend(extra_body={"seed": None}).chat(ask("hi"), Sampling(seed=3, temperature=1.0))
    assert server.bodies[0].keys() == {"model", "messages", "temperature"}


@pytest.mark.parametrize("field", ["n", "stream"])
async def test_fields_that_would_be_paid_for_and_lost_are_refused(backend: Open, field: str) -> None:
    with pytest.raises(ConfigError, match=f"extra_body: {field}: cannot be set"):
        backend(extra_body={field: 4})
    with pytest.raises(ConfigError, match=f"sampling.extra: {field}: cannot be set"):
        await backend().chat(ask("hi"), Sampling(extra={field: 4}))


async def test_openai_has_no_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    with pytest.raises(ConfigError, match="has no choice; give a schema"):
        await openai(model="m").chat(ask("q"), Sampling(choice=("a", "b")))


async def test_text_usage_finish_reason_and_logprobs_are_read(server: FakeServer, backend: Open) -> None:
    body = completion("hi")
    token = {"token": "hi", "logprob": -0.5, "bytes": [1], "top_logprobs": [{"token": "ho", "logprob": -1.0}]}
    body["choices"][0] |= {"finish_reason": "length", "logprobs": {"content": [token]}}
    server.plan = first(web.json_response(body))
    reply = await backend().chat(ask("q"), Sampling(logprobs=1))
    assert (reply.text, reply.finish_reason, reply.usage) == ("hi", "length", Usage(3, 2))
    assert reply.logprobs == (TokenLogprob("hi", -0.5, {"ho": -1.0}),)


@pytest.mark.parametrize(("given", "read"), [(10**30, 0), (-5, 0), (None, 0), (7, 7)])
async def test_a_count_that_can_be_none_is_no_count(
    server: FakeServer, backend: Open, given: int | None, read: int
) -> None:
    usage = {"prompt_tokens": given, "completion_tokens": 2}
    server.plan = first(web.json_response(completion("hi") | {"usage": usage}))
    assert (await backend().chat(ask("q"), Sampling())).usage == Usage(read, 2)


async def test_a_reply_with_infinities_can_be_stored_and_read_again(
    server: FakeServer, backend: Open, journal: Journal
) -> None:
    tops = [{"token": "ho", "logprob": -math.inf}]
    good, bad = completion("hi"), completion("ho")
    good["choices"][0]["logprobs"] = {"content": [{"token": "hi", "logprob": -0.5, "top_logprobs": tops}]}
    bad["choices"][0]["logprobs"] = {"content": [{"token": "hi", "logprob": math.nan, "top_logprobs": tops}]}
    server.plan = lambda number: web.json_response((bad, good)[number])
    llm = LLM(backend(), journal)
    reply = await llm.chat(ask("q"), Sampling(logprobs=1))
    assert reply.logprobs == (TokenLogprob("hi", -0.5, {"ho": -9999.0}),)
    assert await llm.chat(ask("q"), Sampling(logprobs=1)) == reply
    assert (len(server.bodies), llm.stats.replayed) == (2, 1)


async def test_a_refusal_is_told_from_an_answer(server: FakeServer, backend: Open) -> None:
    body = completion("", refusal="I cannot")
    body["choices"][0]["message"]["content"] = None
    server.plan = first(web.json_response(body))
    reply = await backend().chat(ask("q"), Sampling())
    assert (reply.text, reply.finish_reason) == ("I cannot", "refusal")


@pytest.mark.parametrize("status", [429, 500, 502, 503, 504])
async def test_a_passing_failure_is_tried_again(server: FakeServer, backend: Open, status: int) -> None:
    server.plan = first(refusal(status), times=2)
    assert (await backend().chat(ask("q"), Sampling())).text == "answer to q"
    assert len(server.bodies) == 3


@pytest.mark.parametrize("body", [b"<html>busy</html>", b'{"choices": []}', b'{"choices": [{"message"', b"{}", b"\xff"])
async def test_a_garbled_reply_is_tried_again(server: FakeServer, backend: Open, body: bytes) -> None:
    server.plan = first(web.Response(body=body))
    assert (await backend().chat(ask("q"), Sampling())).text == "answer to q"


async def test_a_dropped_connection_is_tried_again(server: FakeServer, backend: Open) -> None:
    server.plan = lambda number: "drop" if number in (1, 2) else None
    llm = backend()
    assert [(await llm.chat(ask(q), Sampling())).text for q in "ab"] == ["answer to a", "answer to b"]


@pytest.mark.parametrize(
    ("response", "reason"),
    [
        (refusal(429), "http_429"),
        (refusal(500), "http_500"),
        (web.Response(body=b"{}"), "bad_response"),
        ("drop", "connection"),
        ("hang", "timeout"),
    ],
)
async def test_the_reason_of_a_lasting_failure_is_typed(
    server: FakeServer, backend: Open, response: web.Response | str, reason: str
) -> None:
    llm = backend(max_attempts=2, timeout_s=0.2 if response == "hang" else 30.0)
    await llm.chat(ask("works"), Sampling())
    before, server.plan = len(server.bodies), first(response, times=99)
    with pytest.raises(LLMError) as caught:
        await llm.chat(ask("q"), Sampling())
    assert (caught.value.reason, caught.value.attempts, len(server.bodies) - before) == (reason, 2, 2)
    assert bool(caught.value.raw) == (reason not in ("connection", "timeout"))


async def test_retry_after_in_seconds_is_waited_for(server: FakeServer, backend: Open) -> None:
    server.plan = first(refusal(429, Retry_After="0.2"))
    started = time.monotonic()
    await backend().chat(ask("q"), Sampling())
    assert time.monotonic() - started >= 0.2


async def test_retry_after_as_a_date_is_waited_for(server: FakeServer, backend: Open) -> None:
    server.plan = first(refusal(503, Retry_After=formatdate(time.time() + 2, usegmt=True)))
    started = time.monotonic()
    await backend().chat(ask("q"), Sampling())
    assert time.monotonic() - started >= 0.9


async def test_a_request_that_waits_holds_up_no_other(server: FakeServer, backend: Open) -> None:
    server.plan = first(refusal(429, Retry_After="5"), times=2)
    llm = backend(concurrency=2)
    limited = [asyncio.ensure_future(llm.chat(ask(q), Sampling())) for q in "ab"]
    await asyncio.sleep(0.1)
    await asyncio.gather(*[llm.chat(ask(q), Sampling()) for q in "cdefgh"])
    assert len(server.bodies) == 8
    assert not any(call.done() for call in limited)
    for call in limited:
        call.cancel()


async def test_a_rate_limit_that_lets_others_through_uses_up_no_attempt(server: FakeServer, backend: Open) -> None:
    def plan(number: int) -> web.Response | None:
        limited = [body for body in server.bodies if body["messages"] == [{"role": "user", "content": "limited"}]]
        is_limited = server.bodies[number] in limited and len(limited) <= 6
        return refusal(429, Retry_After="0.05") if is_limited else None

    server.plan = plan
    llm = backend(max_attempts=3)
    limited = asyncio.ensure_future(llm.chat(ask("limited"), Sampling()))
    while not limited.done():
        await llm.chat(ask("other"), Sampling())
    assert limited.result().text == "answer to limited"


async def test_what_gets_through_while_a_limited_request_waits_counts_too(server: FakeServer, backend: Open) -> None:
    def asked() -> int:
        return sum(body["messages"][0]["content"] == "limited" for body in server.bodies)

    def plan(number: int) -> web.Response | None:
        is_limited = server.bodies[number]["messages"][0]["content"] == "limited" and asked() <= 5
        return refusal(429, Retry_After="0.3") if is_limited else None

    server.plan = plan
    llm = backend(max_attempts=3)
    limited = asyncio.ensure_future(llm.chat(ask("limited"), Sampling()))
    for refused in range(1, 6):
        while asked() < refused and not limited.done():
            await asyncio.sleep(0.002)
        await llm.chat(ask(f"other {refused}"), Sampling())
    assert (await limited).text == "answer to limited"


async def test_no_more_requests_are_open_than_concurrency(server: FakeServer, backend: Open) -> None:
    server.latency_s = 0.05
    llm = backend(concurrency=3)
    started = time.monotonic()
    await asyncio.gather(*[llm.chat(ask(str(i)), Sampling()) for i in range(9)])
    assert time.monotonic() - started >= 0.15


async def test_a_server_that_refuses_everything_for_a_while_is_not_stormed(server: FakeServer, backend: Open) -> None:
    opened = time.monotonic() + 0.5
    server.plan = lambda _: refusal(429, Retry_After="0.1") if time.monotonic() < opened else None
    llm = backend(concurrency=5, max_attempts=50)
    replies = await asyncio.gather(*[llm.chat(ask(f"q{number}"), Sampling()) for number in range(100)])
    assert [reply.text for reply in replies] == [f"answer to q{number}" for number in range(100)]
    assert len(server.bodies) <= 100 + 16 + 5 * 8


async def test_a_request_that_comes_back_goes_before_newer_ones(server: FakeServer, backend: Open) -> None:
    server.latency_s = 0.01
    server.plan = first(refusal(500))
    llm = backend(concurrency=1)
    await asyncio.gather(*[llm.chat(ask(q), Sampling()) for q in "abcdefgh"])
    assert [body["messages"][0]["content"] for body in server.bodies].index("a", 1) < 5


async def test_requests_keep_to_a_limit_per_minute(server: FakeServer, backend: Open) -> None:
    llm = backend(requests_per_minute=1200)
    started = time.monotonic()
    await asyncio.gather(*[llm.chat(ask("q"), Sampling()) for _ in range(5)])
    assert time.monotonic() - started >= 4 * 0.05


async def test_closing_sends_nothing_that_a_limit_per_minute_still_holds_back(
    server: FakeServer, backend: Open
) -> None:
    llm = backend(requests_per_minute=1)
    asked = [asyncio.ensure_future(llm.chat(ask("q"), Sampling())) for _ in range(3)]
    await asked[0]
    await asyncio.wait_for(llm.close(), 20)
    assert [one.cancelled() for one in asked] == [False, True, True]
    assert len(server.bodies) == 1


def test_limits_below_one_are_an_error_at_once() -> None:
    for name in ("concurrency", "max_attempts", "requests_per_minute", "tokens_per_minute"):
        with pytest.raises(ConfigError, match=f"{name}: 0 is less than 1"):
            openai(**{"model": "m", "base_url": "http://a/v1", name: 0})


@pytest.mark.parametrize("status", [401, 403])
async def test_a_wrong_key_names_the_variable_and_not_the_key(
    server: FakeServer, backend: Open, monkeypatch: pytest.MonkeyPatch, status: int
) -> None:
    monkeypatch.setenv("MY_KEY", "sk-secret")
    server.plan = first(refusal(status, "Incorrect API key provided: sk-secret"))
    llm = backend(api_key_env="MY_KEY")
    with pytest.raises(ConfigError, match="MY_KEY, which was refused") as caught:
        await llm.chat(ask("q"), Sampling())
    assert server.headers[0]["Authorization"] == "Bearer sk-secret"
    assert "sk-secret" not in f"{caught.value} {llm.identity}"


async def test_no_error_shows_a_key_that_the_server_echoes(
    server: FakeServer, backend: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AZURE", "sk-azure")
    server.plan = first(refusal(400, "bad header sk-azure"))
    with pytest.raises(LLMError, match=r"bad header \*\*\*"):
        await backend(headers={"api-key": "$AZURE"}).chat(ask("q"), Sampling())
    assert server.headers[0]["api-key"] == "sk-azure"


async def test_a_key_that_no_header_can_hold_is_told_without_it(
    server: FakeServer, backend: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MY_KEY", "sk-secret\n")
    await backend(api_key_env="MY_KEY").chat(ask("q"), Sampling())
    assert server.headers[0]["Authorization"] == "Bearer sk-secret"
    monkeypatch.setenv("MY_KEY", "sk-\nsecret")
    with pytest.raises(ConfigError, match="MY_KEY: holds a line break") as caught:
        backend(api_key_env="MY_KEY")
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("name", ["Authorization", "api-key", "X-API-Key", "Cookie", "X-Auth-Token"])
def test_a_key_in_the_file_is_refused_before_the_file_is_saved(name: str) -> None:
    teacher = {"use": "openai", "model": "m", "base_url": "http://a/v1", "headers": {name: "Bearer sk-secret"}}
    document = {"llms": {"teacher": teacher}, "stages": {"seeds": {"use": "toy:numbers"}}}
    with pytest.raises(ConfigError, match=rf"llms.teacher: headers.{name}: a key does not go into a file") as caught:
        config.build(document)
    assert "sk-secret" not in str(caught.value)
    config.build(document, {"llms.teacher.headers": {name: "$KEY", "X-Team": "blue"}})


async def test_a_key_is_hidden_also_where_its_scheme_is_not_echoed(
    server: FakeServer, backend: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("AUTH", "Bearer sk-secret")
    server.plan = first(refusal(400, "bad key sk-secret"))
    with pytest.raises(LLMError, match=r"bad key \*\*\*") as caught:
        await backend(headers={"Authorization": "$AUTH"}).chat(ask("q"), Sampling())
    assert "sk-secret" not in caught.value.raw


async def test_an_unknown_model_or_path_says_so_at_once(server: FakeServer, backend: Open) -> None:
    server.plan = first(refusal(404, "The model `m` does not exist."))
    with pytest.raises(ConfigError, match=r"model 'm': The model `m` does not exist"):
        await backend().chat(ask("q"), Sampling())
    with pytest.raises(ConfigError, match=r"did you mean base_url: .*/v1 "):
        await backend(base_url=server.url.removesuffix("/v1")).chat(ask("q"), Sampling())
    assert len(server.bodies) == 1


@pytest.mark.parametrize(
    ("status", "message", "code", "reason"),
    [
        (400, "This model's maximum context length is 512 tokens. However, you requested 600", "", "context_length"),
        (400, "too long", "context_length_exceeded", "context_length"),
        (422, "`inputs` tokens + `max_new_tokens` must be <= 4096", "", "context_length"),
        (413, "payload", "", "context_length"),
        (400, "temperature must be at most 2", "", "http_400"),
        (422, "unknown field", "", "http_422"),
    ],
)
async def test_a_request_that_cannot_succeed_is_not_repeated(
    server: FakeServer, backend: Open, status: int, message: str, code: str, reason: str
) -> None:
    server.plan = first(refusal(status, message, code), times=9)
    with pytest.raises(LLMError, match=message[:12].replace("(", r"\(")) as caught:
        await backend().chat(ask("q"), Sampling())
    assert (caught.value.reason, len(server.bodies)) == (reason, 1)


async def test_an_empty_account_stops_the_run(server: FakeServer, backend: Open) -> None:
    server.plan = first(refusal(429, "You exceeded your current quota", "insufficient_quota"), times=9)
    with pytest.raises(ConfigError, match="exceeded your current quota"):
        await backend().chat(ask("q"), Sampling())


async def test_a_server_that_was_never_there_is_named(backend: Open) -> None:
    url = f"http://127.0.0.1:{unused_port()}/v1"
    llm = backend(base_url=url, max_attempts=50)
    with pytest.raises(ConfigError, match=f"no server at {url}"):
        await llm.chat(ask("q"), Sampling())


async def test_a_server_that_goes_away_and_comes_back_is_waited_for(server: FakeServer, backend: Open) -> None:
    llm = backend(max_attempts=2)
    await llm.chat(ask("before"), Sampling())
    await server.stop()
    waiting = asyncio.ensure_future(llm.chat(ask("q"), Sampling()))
    await asyncio.sleep(0.02)
    await server.start()
    assert (await waiting).text == "answer to q"


async def test_a_server_that_stays_away_stops_the_run(
    server: FakeServer, backend: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_OUTAGE_TRIES", 3)
    llm = backend(max_attempts=2)
    await llm.chat(ask("before"), Sampling())
    await server.stop()
    with pytest.raises(ServerGone, match=r"is gone .* start it and run the same command again"):
        await llm.chat(ask("q"), Sampling())


async def test_a_web_site_is_no_server(server: FakeServer, backend: Open) -> None:
    server.plan = first(web.Response(text="<html>hello</html>"), times=99)
    with pytest.raises(ConfigError, match="is base_url an OpenAI-compatible API"):
        await backend(max_attempts=50).chat(ask("q"), Sampling())


async def test_a_reply_of_ten_megabytes_and_half_an_emoji_arrive(
    server: FakeServer, backend: Open, journal: Journal
) -> None:
    long = "x" * 10_000_000
    server.plan = lambda number: [long, web.Response(body=b'{"choices": [{"message": {"content": "a\\ud83d"}}]}')][
        number
    ]
    llm = LLM(backend(), journal)
    assert (await llm.chat(ask("long"))).text == long
    assert (await llm.chat(ask("cut"))).text == "a\ufffd"


def test_one_back_end_serves_several_event_loops(monkeypatch: pytest.MonkeyPatch) -> None:
    async def serve_and_ask(llm: OpenAI) -> str:
        async def answer(_: web.Request) -> web.Response:
            return web.json_response(completion("hi"))

        app = web.Application()
        app.router.add_post("/v1/chat/completions", answer)
        runner = web.AppRunner(app)
        await runner.setup()
        await web.TCPSite(runner, "127.0.0.1", port).start()
        text = (await llm.chat(ask("q"), Sampling())).text
        await llm.close()
        await runner.cleanup()
        return text

    port = unused_port()
    llm = openai(model="m", base_url=f"http://127.0.0.1:{port}/v1")
    assert [asyncio.run(serve_and_ask(llm)) for _ in range(2)] == ["hi", "hi"]


def test_openai_itself_needs_a_key(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    with pytest.raises(ConfigError, match="set the environment variable OPENAI_API_KEY"):
        openai(model="gpt-5")


@pytest.mark.parametrize(
    "url", ["localhost:8000", "ftp://x/v1", "http://", "http://user:pw@host/v1", "http://a/v1?key=x"]
)
def test_a_malformed_address_is_an_error_at_once(url: str) -> None:
    with pytest.raises(ConfigError, match="base_url"):
        openai(model="m", base_url=url)


def test_the_identity_is_address_model_and_extra_body() -> None:
    one = openai(model="m", base_url="http://a/v1/", extra_body={"x": 1}, headers={"X-Team": "k"}, concurrency=3)
    assert one.identity == {"base_url": "http://a/v1", "model": "m", "extra_body": {"x": 1}}
