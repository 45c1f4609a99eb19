from __future__ import annotations

import asyncio
import logging
import os
import sqlite3
import sys
import time
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

import msgspec
import pytest
from aiohttp import web
from aiohttp.test_utils import unused_port

import datagen
from datagen.errors import ConfigError, LLMError, ServerGone, StageError
from datagen.llm import batch_api as module
from datagen.llm.base import Reply, Sampling, Usage
from datagen.llm.batch_record import BatchRecord
from datagen.llm.client import LLM
from datagen.llm.journal import Journal, key
from datagen.llm.openai import openai
from datagen.llm.openai_batch import OpenAIBatch, openai_batch
from datagen.llm.team import Team, fallback
from datagen.record import encode, instruction, read_records

from .batch_server import BatchServer, Bodies, answer, answer_all, expired, good, refused
from .conftest import ask, completion, refusal

Open = Callable[..., OpenAIBatch]
T0 = Sampling(temperature=0)


@pytest.fixture
async def server() -> AsyncIterator[BatchServer]:
    running = BatchServer()
    await running.start()
    yield running
    await running.stop()


@pytest.fixture
async def backend(server: BatchServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Open]:
    """Opens back ends on the server that share one record of what was submitted, as one process after the other."""
    monkeypatch.setattr(module, "_BASE_DELAY_S", 0.002)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    opened = []

    def open_backend(**options: Any) -> OpenAIBatch:
        quick = {"quiet_s": 0.02, "poll_s": 0.01, "submitted": str(tmp_path / "batches.sqlite")}
        opened.append(openai_batch(**{"model": "m", "base_url": server.url, **quick, **options}))
        return opened[-1]

    yield open_backend
    for one in opened:
        await one.close()


async def ask_all(llm: OpenAIBatch | LLM, questions: str) -> list[Reply | BaseException]:
    calls = [llm.chat(ask(question), T0) for question in questions]
    return await asyncio.gather(*calls, return_exceptions=True)


def texts(replies: list[Reply | BaseException]) -> list[str]:
    return [one.text if isinstance(one, Reply) else getattr(one, "reason", repr(one)) for one in replies]


async def submit_and_die(llm: OpenAIBatch, server: BatchServer, questions: str) -> None:
    """Ask, and be gone as soon as a batch is asked for that the server did not have before."""
    new = f"/batches/batch_{len(server.submitted)}"
    asking = asyncio.ensure_future(ask_all(llm, questions))
    while ("GET", new) not in server.calls:
        await asyncio.sleep(0.005)
    asking.cancel()
    await llm.close()


async def test_requests_that_wait_share_a_batch_and_each_gets_its_own_reply(server: BatchServer, backend: Open) -> None:
    server.polls = 3
    replies = await ask_all(backend(), "abcd")
    assert texts(replies) == [f"answer to {question}" for question in "abcd"]
    assert server.questions == [["a", "b", "c", "d"]]
    assert isinstance(replies[0], Reply)
    assert replies[0].usage == Usage(3, 2)


async def test_a_request_is_the_one_that_openai_sends_under_the_journals_key(
    server: BatchServer, backend: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-1")
    llm = backend(extra_body={"a": 1}, headers={"X-Team": "t"})
    sampling = Sampling(0.5, max_tokens=7, seed=3)
    await llm.chat(ask("hi"), sampling, 2)
    body = {"model": "m", "messages": [{"role": "user", "content": "hi"}], "temperature": 0.5, "max_tokens": 7}
    assert server.submitted == [{key(llm.identity, ask("hi"), sampling, 2).hex(): {**body, "seed": 3, "a": 1}}]
    assert {(one["Authorization"], one["X-Team"]) for one in server.headers} == {("Bearer sk-1", "t")}
    assert llm.identity == openai(model="m", base_url=server.url, extra_body={"a": 1}).identity


async def test_base_models_are_asked_by_raw_completions(server: BatchServer, backend: Open) -> None:
    body = {"choices": [{"text": "hi!", "finish_reason": "stop"}]}
    server.end = lambda number, requests: {
        "output": [{"custom_id": name, "response": {"status_code": 200, "body": body}} for name in requests]
    }
    assert (await backend(api="completions").chat(ask("one"), T0)).text == "hi!"
    assert [one["prompt"] for one in server.submitted[0].values()] == ["one"]


async def test_a_batch_goes_when_it_is_full(server: BatchServer, backend: Open) -> None:
    assert "answer to e" in texts(await ask_all(backend(max_requests=2), "abcde"))
    assert server.questions == [["a", "b"], ["c", "d"], ["e"]]


async def test_a_batch_goes_before_it_is_too_large(server: BatchServer, backend: Open) -> None:
    large = [letter * 400_000 for letter in "abc"]
    llm = backend(max_file_mb=1)
    calls = [llm.chat(ask(question), T0) for question in [*large, "d" * 1_000_001]]
    replies = await asyncio.gather(*calls, return_exceptions=True)
    assert texts(replies) == [*(f"answer to {question}" for question in large), "too_large"]
    assert server.questions == [large[:2], large[2:]]


async def test_a_batch_waits_while_requests_come(server: BatchServer, backend: Open) -> None:
    llm = backend(quiet_s=0.2)
    calls = []
    for question in "abcdefgh":
        calls.append(asyncio.ensure_future(llm.chat(ask(question), T0)))
        await asyncio.sleep(0.05)
    await asyncio.gather(*calls)
    assert len(server.submitted) == 1


async def test_what_failed_for_good_is_typed_and_the_others_have_their_replies(
    server: BatchServer, backend: Open
) -> None:
    def end(number: int, requests: Bodies) -> dict[str, Any]:
        a, b, c, d = requests
        failed = [refused(b, 400, "bad request"), refused(d, 400, "maximum model length is 8")]
        return {"output": [good(a, "A"), good(c, "C")], "error": failed}

    server.end = end
    replies = await ask_all(backend(), "abcd")
    assert texts(replies) == ["A", "http_400", "C", "context_length"]
    assert isinstance(replies[1], LLMError)
    assert (replies[1].attempts, str(replies[1])) == (1, "bad request")
    assert "bad request" in replies[1].raw
    assert len(server.submitted) == 1


async def test_what_failed_in_passing_goes_into_another_batch(server: BatchServer, backend: Open) -> None:
    def end(number: int, requests: Bodies) -> dict[str, Any]:
        if number:
            return answer_all(requests)
        a, b, c, d = requests
        failed = [refused(b, 500, "oops"), {"custom_id": c, "error": {"code": "x", "message": "y"}}]
        return {"output": [good(a, "A")], "error": [*failed, refused(d, 429, "slow down")]}

    server.end = end
    assert texts(await ask_all(backend(), "abcd")) == ["A", "answer to b", "answer to c", "answer to d"]
    assert [sorted(asked) for asked in server.questions] == [["a", "b", "c", "d"], ["b", "c", "d"]]


@pytest.mark.parametrize("status", ["expired", "cancelled"])
@pytest.mark.parametrize("says_so", [True, False])
async def test_what_a_batch_did_not_come_to_is_submitted_again_within_bounds(
    server: BatchServer, backend: Open, status: str, says_so: bool
) -> None:
    def end(number: int, requests: Bodies) -> dict[str, Any]:
        first, *rest = requests.items()
        lines = [expired(name) for name, _ in rest] if says_so and status == "expired" else []
        return {"status": status, "output": [good(first[0], answer(first[1]))], "error": lines}

    server.end = end
    replies = await ask_all(backend(max_attempts=2), "abc")
    assert [len(asked) for asked in server.questions] == [3, 2]
    assert sorted(texts(replies)) == ["answer to a", "answer to b", f"batch_{status}"]
    assert [one.attempts for one in replies if isinstance(one, LLMError)] == [2]


async def test_tries_are_counted_over_processes(server: BatchServer, backend: Open) -> None:
    server.end = lambda number, requests: {"status": "expired"}
    for attempts, batches in ((1, 1), (1, 1), (3, 3), (3, 3)):
        assert texts(await ask_all(backend(max_attempts=attempts), "a")) == ["batch_expired"]
        assert len(server.submitted) == batches


@pytest.mark.parametrize(
    "broken",
    [b"", b"{}", b"not json", b"\xff\xfe", b"[1, 2]", b'{"custom_id": "zz"}', b'{"custom_id": 3}', b"[" * 100_000],
)
async def test_broken_lines_and_requests_without_a_line_are_submitted_again(
    server: BatchServer, backend: Open, broken: bytes
) -> None:
    def end(number: int, requests: Bodies) -> dict[str, Any]:
        whole = answer_all(requests)["output"]
        return {"output": whole if number else [broken, *whole[:-1], broken, good("ff" * 16, "nobody asked")]}

    server.end = end
    assert texts(await ask_all(backend(), "abc")) == ["answer to a", "answer to b", "answer to c"]
    assert server.questions == [["a", "b", "c"], ["a"]]


@pytest.mark.parametrize(
    "body", [{"choices": []}, {}, None, "x", {"choices": [{"message": {"content": 3}}]}, [[[[[]]]]]]
)
async def test_a_body_that_is_no_completion_is_typed_in_the_end(server: BatchServer, backend: Open, body: Any) -> None:
    server.end = lambda number, requests: {
        "output": [{"custom_id": name, "response": {"status_code": 200, "body": body}} for name in requests]
    }
    replies = await ask_all(backend(max_attempts=2), "a")
    assert texts(replies) == ["bad_response"]
    assert len(server.submitted) == 2


async def test_half_an_emoji_in_an_output_line_loses_nothing(server: BatchServer, backend: Open) -> None:
    def end(number: int, requests: Bodies) -> dict[str, Any]:
        name = next(iter(requests))
        line = b'{"custom_id": "%s", "response": {"status_code": 200, "body": ' % name.encode()
        return {"output": [line + b'{"choices": [{"message": {"content": "half \\ud83d"}}]}}}']}

    server.end = end
    assert texts(await ask_all(backend(), "a")) == ["half \ud83d"]


async def test_a_later_process_takes_up_a_batch_without_submitting_it_again(
    server: BatchServer, backend: Open, tmp_path: Path
) -> None:
    server.held = True
    await submit_and_die(backend(), server, "abc")
    server.held = False
    journal = Journal(tmp_path / "journal.sqlite")
    assert texts(await ask_all(LLM(backend(), journal), "cab")) == ["answer to c", "answer to a", "answer to b"]
    assert len(server.submitted) == 1
    assert len(journal) == 3
    journal.close()


async def test_a_run_that_was_killed_goes_on_with_the_batch_that_it_submitted(
    server: BatchServer, tmp_path: Path
) -> None:
    rows = [encode(instruction(f"Say {number}", source="test")) for number in range(40)]
    (tmp_path / "seeds.jsonl").write_bytes(b"\n".join(rows))
    teacher = {"use": "openai_batch", "base_url": server.url, "model": "m", "quiet_s": 0.3, "poll_s": 0.05}
    stages = {
        "seeds": {"use": "sources.jsonl", "path": "seeds.jsonl"},
        "answers": {"use": "generators.answer", "llm": "teacher"},
    }
    (tmp_path / "p.json").write_bytes(msgspec.json.encode({"llms": {"teacher": teacher}, "stages": stages}))
    (tmp_path / "p.json").rename(tmp_path / "p.yaml")  # JSON is YAML
    environment = {**os.environ, "PYTHONPATH": str(Path(datagen.__file__).parent.parent), "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "datagen.cli", "run", "p.yaml", "-q"]
    server.held = True
    first = await asyncio.create_subprocess_exec(*command, cwd=tmp_path, env=environment)
    while not server.submitted and first.returncode is None:
        await asyncio.sleep(0.01)
    first.kill()
    await first.wait()
    server.held = False
    second = await asyncio.create_subprocess_exec(*command, cwd=tmp_path, env=environment)
    assert await second.wait() == 0
    made = list(read_records(next((tmp_path / "runs" / "p").glob("answers-*/rows.jsonl"))))
    assert [row.answers[0].content for row in made] == [f"answer to {row.instruction}" for row in made]
    assert (len(made), [len(batch) for batch in server.submitted]) == (40, [40])


async def test_what_is_new_after_a_restart_is_all_that_is_submitted(server: BatchServer, backend: Open) -> None:
    server.held = True
    await submit_and_die(backend(), server, "ab")
    server.held = False
    assert texts(await ask_all(backend(), "abc")) == ["answer to a", "answer to b", "answer to c"]
    assert server.questions == [["a", "b"], ["c"]]


async def test_a_batch_is_found_again_where_its_id_never_came_to_disk(
    server: BatchServer, backend: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as killed:
        killed.setattr(BatchRecord, "confirm", lambda *_: None)
        server.held = True
        await submit_and_die(backend(), server, "ab")
    await submit_and_die(backend(), server, "cd")
    server.held = False
    assert texts(await ask_all(backend(), "ab")) == ["answer to a", "answer to b"]
    assert server.questions == [["a", "b"], ["c", "d"]]
    assert server.calls.count(("GET", "/batches")) == 2, "two pages of a list with one batch on each"


async def test_a_batch_that_never_came_to_be_is_submitted(server: BatchServer, backend: Open, tmp_path: Path) -> None:
    llm = backend()
    record = BatchRecord(tmp_path / "batches.sqlite")
    record.intend("lost", [key(llm.identity, ask("a"), T0, 0)])
    record.close()
    assert texts(await ask_all(llm, "a")) == ["answer to a"]
    assert len(server.submitted) == 1


async def test_a_creation_without_an_answer_is_not_repeated_where_it_was_done(
    server: BatchServer, backend: Open
) -> None:
    def plan(method: str, path: str) -> str | None:
        return "drop" if (method, path) == ("POST", "/batches") and len(server.submitted) < 2 else None

    server.plan = plan
    assert texts(await ask_all(backend(), "ab")) == ["answer to a", "answer to b"]
    assert len(server.submitted) == 1


@pytest.mark.parametrize("method", ["POST", "GET"])
@pytest.mark.parametrize("status", [429, 500, 503])
async def test_the_servers_passing_failures_are_tried_again(
    server: BatchServer, backend: Open, method: str, status: int
) -> None:
    seen: dict[tuple[str, str], int] = {}

    def plan(now: str, path: str) -> web.Response | None:
        seen[now, path] = seen.get((now, path), 0) + 1
        return refusal(status) if now == method and seen[now, path] <= 2 else None

    server.plan = plan
    assert texts(await ask_all(backend(), "ab")) == ["answer to a", "answer to b"]
    assert len(server.submitted) == 1


@pytest.mark.parametrize(
    ("response", "said"),
    [
        (
            refusal(401, "wrong"),
            r"answered 401: wrong; the API key is taken from the environment variable OPENAI_API_KEY",
        ),
        (refusal(404, "no such route"), r"/files answered 404 for model 'm': no such route"),
        (refusal(400, "no batches here"), r"answered 400: no batches here"),
        (refusal(429, "pay first", "insufficient_quota"), r"pay first"),
        (web.Response(body=b"<html>hello</html>"), r"no batch API at .*not what the batch API answers"),
    ],
)
async def test_what_no_retry_mends_is_one_line(
    server: BatchServer, backend: Open, response: web.Response, said: str
) -> None:
    server.plan = lambda method, path: response
    with pytest.raises(ConfigError, match=said) as caught:
        await backend().chat(ask("q"), T0)
    assert "\n" not in str(caught.value)


async def test_no_server_is_one_line(backend: Open) -> None:
    with pytest.raises(ConfigError, match=r"no batch API at .*; start the server, or mend base_url"):
        await backend(base_url=f"http://127.0.0.1:{unused_port()}/v1").chat(ask("q"), T0)


async def test_a_server_that_stays_away_stops_the_run_and_loses_nothing(
    server: BatchServer, backend: Open, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_OUTAGE_TRIES", 3)
    server.plan = lambda method, path: refusal(502) if path.startswith("/batches/") else None
    llm = backend()
    with pytest.raises(ServerGone, match="run the same command again"):
        await llm.chat(ask("q"), T0)
    server.plan = lambda method, path: None
    for again in (llm, backend()):
        assert texts(await ask_all(again, "q")) == ["answer to q"]
    assert len(server.submitted) == 1


async def test_a_batch_that_the_server_does_not_know_is_not_paid_for_again_unasked(
    server: BatchServer, backend: Open, tmp_path: Path
) -> None:
    server.held = True
    await submit_and_die(backend(), server, "a")
    server._batches.clear()
    with pytest.raises(ConfigError, match=r"answered 404: .*made with another key, or deleted"):
        await backend().chat(ask("a"), T0)
    assert len(server.submitted) == 1


async def test_a_batch_that_is_refused_as_a_whole_stops_the_run_and_is_forgotten(
    server: BatchServer, backend: Open
) -> None:
    problem = {"code": "model_not_found", "message": "m is no batch model", "line": 1}
    server.end = lambda number, requests: {"status": "failed", "errors": [problem]}
    with pytest.raises(ConfigError, match="batch_0 was refused: model_not_found: m is no batch model"):
        await backend().chat(ask("q"), T0)
    server.end = lambda number, requests: answer_all(requests)
    assert texts(await ask_all(backend(max_attempts=1), "q")) == ["answer to q"]


@pytest.mark.parametrize(("code", "waits"), [("token_limit_exceeded", True), ("model_not_found", False)])
async def test_a_batch_waits_for_room_in_the_queue_and_for_nothing_else(
    server: BatchServer, backend: Open, code: str, waits: bool
) -> None:
    def end(number: int, requests: Bodies) -> dict[str, Any]:
        refusal = {"status": "failed", "errors": [{"code": code, "message": "not now"}]}
        return refusal if number == 1 else answer_all(requests)

    def plan(method: str, path: str) -> web.Response | None:
        first_is_over = ("GET", "/batches/batch_1") in server.calls[:-1]
        unfinished = web.json_response({"id": "batch_0", "status": "in_progress"})
        return unfinished if path == "/batches/batch_0" and not first_is_over else None

    server.end, server.plan = end, plan
    replies = await ask_all(backend(max_requests=2, max_attempts=1), "abcd")
    assert texts(replies)[:2] == ["answer to a", "answer to b"]
    assert [isinstance(one, ConfigError) for one in replies[2:]] == [not waits] * 2
    assert [sorted(asked) for asked in server.questions] == [["a", "b"], ["c", "d"], ["c", "d"]][: 3 if waits else 2]


async def test_a_batch_that_was_refused_while_nobody_looked_is_submitted_again(
    server: BatchServer, backend: Open
) -> None:
    server.held = True
    await submit_and_die(backend(), server, "ab")
    server.held = False
    problem = {"code": "token_limit_exceeded", "message": "Enqueued token limit reached"}
    server.end = lambda number, requests: answer_all(requests) if number else {"status": "failed", "errors": [problem]}
    assert texts(await ask_all(backend(max_attempts=1), "ab")) == ["answer to a", "answer to b"]


async def test_a_batch_that_alone_overfills_the_queue_says_what_to_do(server: BatchServer, backend: Open) -> None:
    problem = {"code": "token_limit_exceeded", "message": "Enqueued token limit reached"}
    server.end = lambda number, requests: {"status": "failed", "errors": [problem]}
    with pytest.raises(ConfigError, match=r"Enqueued token limit reached; .*lower max_requests"):
        await backend().chat(ask("q"), T0)


async def test_equal_requests_are_one_line(server: BatchServer, backend: Open) -> None:
    assert texts(await ask_all(backend(), "aabba")) == [f"answer to {question}" for question in "aabba"]
    assert server.questions == [["a", "b"]]


async def test_a_reply_that_was_read_can_be_read_again(server: BatchServer, backend: Open) -> None:
    llm = backend()
    for _ in range(2):
        assert texts(await ask_all(llm, "ab")) == ["answer to a", "answer to b"]
    assert len(server.submitted) == 1


async def test_closing_waits_for_no_batch_and_says_so(
    server: BatchServer, backend: Open, caplog: pytest.LogCaptureFixture
) -> None:
    server.held = True
    with caplog.at_level(logging.WARNING, "datagen"):
        await asyncio.wait_for(submit_and_die(backend(), server, "ab"), 5)
    assert "batches that go on at the server: 1" in caplog.text


async def test_the_key_goes_nowhere_but_into_the_header(
    server: BatchServer, backend: Open, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    server.end = lambda number, requests: {"error": [refused(name, 400, "bad sk-secret") for name in requests]}
    replies = await ask_all(backend(), "a")
    assert isinstance(replies[0], LLMError)
    assert "sk-secret" not in f"{replies[0]} {replies[0].raw}"
    assert b"sk-secret" not in (tmp_path / "batches.sqlite").read_bytes()


async def test_a_stage_has_as_many_records_under_way_as_concurrency_says(backend: Open, journal: Journal) -> None:
    assert LLM(backend(), journal).window == 50_000
    large = LLM(backend(concurrency=200_000), journal)
    assert (large.window, Team("both", [large, large], fallback({})).window) == (200_000, 200_000)
    assert LLM(openai(model="m", base_url="http://a/v1", concurrency=1000), journal).window == 4096


@pytest.mark.parametrize(
    ("option", "value"),
    [("max_requests", 50_001), ("max_file_mb", 201), ("max_requests", 0), ("max_attempts", 0), ("concurrency", 0)],
)
def test_limits_out_of_range_are_refused(option: str, value: int) -> None:
    with pytest.raises(ConfigError, match=f"{option}: {value} is"):
        openai_batch(model="m", base_url="http://a/v1", **{option: value})


@pytest.mark.parametrize("option", ["poll_s", "quiet_s"])
def test_times_must_be_above_0(option: str) -> None:
    with pytest.raises(ConfigError, match=f"{option}: 0 is not above 0"):
        openai_batch(model="m", base_url="http://a/v1", **{option: 0})


def test_what_is_older_than_a_servers_files_is_forgotten(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    record = BatchRecord(tmp_path / "batches.sqlite")
    record.intend("new", [b"b"])
    with monkeypatch.context() as past:
        now = time.time()
        past.setattr(time, "time", lambda: now - 31 * 86400)
        record.intend("old", [b"a"])
    record.close()
    again = BatchRecord(tmp_path / "batches.sqlite")
    assert again.find(b"a") is None
    assert again.find(b"b") is not None
    again.close()


async def test_nothing_is_submitted_that_cannot_be_put_on_record(
    server: BatchServer, backend: Open, tmp_path: Path
) -> None:
    BatchRecord(tmp_path / "batches.sqlite").close()
    database = sqlite3.connect(tmp_path / "batches.sqlite")
    database.execute("CREATE TRIGGER full BEFORE INSERT ON requests BEGIN SELECT RAISE(FAIL, 'disk is full'); END")
    database.close()
    with pytest.raises(StageError, match=r"batches.sqlite: disk is full; mend it and run again"):
        await backend().chat(ask("q"), T0)
    assert not server.calls


def test_a_record_that_is_none_is_one_line(tmp_path: Path) -> None:
    (tmp_path / "batches.sqlite").write_bytes(b"something else" * 100)
    with pytest.raises(ConfigError, match="choose another place"):
        BatchRecord(tmp_path / "batches.sqlite")


async def test_a_completion_is_read_as_everywhere(server: BatchServer, backend: Open) -> None:
    body = completion("", refusal="I cannot")
    server.end = lambda number, requests: {
        "output": [{"custom_id": name, "response": {"status_code": 200, "body": body}} for name in requests]
    }
    reply = await backend().chat(ask("q"), T0)
    assert (reply.text, reply.finish_reason) == ("I cannot", "refusal")
