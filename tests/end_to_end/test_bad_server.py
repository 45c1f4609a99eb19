"""What servers and journals do to users: one clear line and the right exit code, or a clean retry; nothing is lost."""

from __future__ import annotations

import os
import shutil
import sqlite3
import ssl
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml
from aiohttp import web
from aiohttp.test_utils import unused_port
from processes import SOURCE, data
from server import Server

from datagen.cli import main
from datagen.llm import openai as backend
from datagen.llm.journal import Journal
from datagen.record import Record, encode, instruction, read_records

Says = Callable[..., tuple[int, list[str]]]
ROWS = 40


@pytest.fixture
def server(server: Server, monkeypatch: pytest.MonkeyPatch) -> Server:
    monkeypatch.setattr(backend, "_BASE_DELAY_S", 0.002)
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    return server


@pytest.fixture
def run(tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Says:
    """Exit code and lines on stderr of a run whose answers come from the server."""
    monkeypatch.chdir(tmp_path)
    rows = [encode(instruction(f"Say {number}", source="test")) for number in range(ROWS)]
    (tmp_path / "seeds.jsonl").write_bytes(b"\n".join(rows) + b"\n")

    def say(*words: str, **entry: Any) -> tuple[int, list[str]]:
        teacher = {"use": "openai", "base_url": server.url, "model": "m", "concurrency": 4, "max_attempts": 3, **entry}
        stages = {
            "seeds": {"use": "sources.jsonl", "path": "seeds.jsonl"},
            "answers": {"use": "generators.answer", "llm": "teacher"},
        }
        (tmp_path / "p.yaml").write_text(
            yaml.safe_dump({"llms": {"teacher": teacher}, "stages": stages}, sort_keys=False)
        )
        code = main(["run", "p.yaml", "-q", *words])
        return code, capsys.readouterr().err.splitlines()

    return say


def one_line(said: tuple[int, list[str]]) -> str:
    """The exit code and the one line."""
    code, lines = said
    assert len(lines) == 1, lines
    return f"{code} {lines[0]}"


def dropped() -> list[Record]:
    return list(read_records(next(Path("runs/p").glob("answers-*/dropped.jsonl"))))


def refuse(status: int, message: str, code: str = "") -> Callable[[int, str], web.Response]:
    return lambda number, prompt: web.json_response({"error": {"message": message, "code": code}}, status=status)


def test_a_wrong_url_is_one_line(run: Says) -> None:
    url = f"http://127.0.0.1:{unused_port()}/v1"
    assert one_line(run(base_url=url)).startswith(f"2 datagen: no server at {url}")


def test_a_wrong_key_is_one_line_without_the_key(run: Says, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    server.plan = refuse(401, "Incorrect API key provided: sk-secret")
    line = one_line(run())
    assert line.startswith("2 datagen: ")
    assert "OPENAI_API_KEY, which was refused" in line
    assert not [path for path in Path("runs").rglob("*") if path.is_file() and b"sk-secret" in path.read_bytes()]


def test_what_a_server_says_of_a_key_it_knows_is_shown(
    run: Says, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("OPENAI_API_KEY", "sk-secret")
    server.plan = refuse(403, "Country not supported for sk-secret")
    line = one_line(run())
    assert line.startswith("2 datagen: ")
    assert "answered 403: Country not supported for ***; the API key is taken from" in line


def test_an_empty_account_is_one_line(run: Says, server: Server) -> None:
    server.plan = refuse(429, "You exceeded your current quota", "insufficient_quota")
    assert one_line(run()) == f"2 datagen: {server.url}: You exceeded your current quota"


def test_an_unknown_model_is_one_line(run: Says, server: Server) -> None:
    server.plan = refuse(404, "The model `m` does not exist.")
    assert "for model 'm': The model `m` does not exist." in one_line(run())


@pytest.mark.parametrize("max_attempts", [1, 9])
@pytest.mark.parametrize("body", [b"<html><body>Welcome</body></html>", b'{"choices": []}', b"", b"[" * 100_000])
def test_a_web_site_or_empty_choices_in_place_of_replies_are_one_line(
    run: Says, server: Server, body: bytes, max_attempts: int
) -> None:
    server.plan = lambda number, prompt: web.Response(body=body)
    line = one_line(run(max_attempts=max_attempts))
    assert line.startswith("2 datagen: ")
    assert "is base_url an OpenAI-compatible API?" in line
    assert len(line) < 500


def test_no_tls_where_it_is_wanted_is_one_line(run: Says, server: Server) -> None:
    line = one_line(run(base_url=server.url.replace("http", "https")))
    assert line.startswith("2 datagen: ")
    assert "no TLS connection" in line


def test_a_server_that_takes_requests_and_never_answers_is_one_line(run: Says, server: Server) -> None:
    server.plan = lambda number, prompt: "hang"
    line = one_line(run(timeout_s=0.3))
    assert (
        line
        == f"2 datagen: {server.url}: no reply within 0.3 s, 3 times; is it stuck? Start it again, or raise timeout_s"
    )


def test_a_server_that_refuses_every_request_is_quoted(run: Says, server: Server) -> None:
    server.plan = refuse(400, "unknown field 'seed'")
    line = one_line(run())
    assert "kept none of 40 rows, most often answer:http_400 (40): unknown field 'seed'; see runs/p/answers-" in line


@pytest.mark.parametrize("status", [502, 503])
def test_a_gateway_whose_server_comes_back_meanwhile_loses_no_row(run: Says, server: Server, status: int) -> None:
    def plan(number: int, prompt: str) -> web.Response | None:
        away = web.Response(text="<html>no healthy upstream</html>", status=status)
        return away if 15 <= number < 80 else None

    server.plan = plan
    assert run(max_attempts=2) == (0, [])
    assert not dropped()


def test_a_gateway_whose_server_stays_away_stops_the_run_and_the_same_command_goes_on(
    run: Says, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backend, "_OUTAGE_TRIES", 4)
    away = refuse(503, "no healthy upstream")
    server.plan = lambda number, prompt: away(number, prompt) if number >= 15 else None
    line = one_line(run())
    assert line.startswith(f"1 datagen: the server at {server.url} is gone (no healthy upstream); start it and run")
    server.plan = lambda number, prompt: None
    assert run() == (0, [])
    assert not dropped()


def test_one_request_that_its_server_breaks_on_drops_its_row_alone(
    run: Says, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backend, "_OUTAGE_TRIES", 4)
    breaks = refuse(502, "the worker died")
    server.plan = lambda number, prompt: breaks(number, prompt) if prompt == "Say 39" else None
    assert run(concurrency=1) == (0, [])
    assert [record.dropped.reason for record in dropped() if record.dropped] == ["answer:http_502"]


@pytest.fixture
def secure(tmp_path: Path, server: Server) -> Server:
    """The server behind a certificate that it signed itself."""
    words = "req -x509 -newkey rsa:2048 -nodes -days 2 -subj /CN=localhost -addext subjectAltName=IP:127.0.0.1"
    made = ["openssl", *words.split(), "-keyout", tmp_path / "key.pem", "-out", tmp_path / "own.pem"]
    if not shutil.which("openssl"):
        pytest.skip("openssl, which makes a certificate, is not installed")
    subprocess.run(made, check=True, capture_output=True)
    server.stop()
    server.certificate = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.certificate.load_cert_chain(tmp_path / "own.pem", tmp_path / "key.pem")
    server.start()
    return server


def test_a_certificate_that_nobody_vouches_for_is_one_line_and_can_be_named(run: Says, secure: Server) -> None:
    line = one_line(run())
    assert line.startswith(f"2 datagen: {secure.url}: no TLS connection: ")
    assert "CERTIFICATE_VERIFY_FAILED" in line
    assert "SSL_CERT_FILE names a file with a certificate of your own" in line
    environment = {**os.environ, "SSL_CERT_FILE": "own.pem", "PYTHONPATH": str(SOURCE)}
    command = [sys.executable, "-m", "datagen", "run", "p.yaml", "-q"]
    subprocess.run(command, env=environment, check=True, capture_output=True)
    assert len(secure.seen) == ROWS


def test_a_server_that_goes_and_comes_back_meanwhile_is_waited_for(run: Says, server: Server) -> None:
    assert run("name=undisturbed") == (0, [])
    server.seen.clear()

    def plan(number: int, prompt: str) -> None:
        if number == 15:
            server.leave(back_after_s=0.05)

    server.plan = plan
    Path("runs/journal.sqlite").unlink()
    assert run() == (0, [])
    assert server.starts == 2
    assert data(Path(), "p") == data(Path(), "undisturbed")
    assert server.repeated <= 4


def test_a_server_that_stays_away_stops_the_run_and_the_same_command_goes_on(
    run: Says, server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(backend, "_OUTAGE_TRIES", 4)
    assert run("name=undisturbed") == (0, [])
    Path("runs/journal.sqlite").unlink()
    server.seen.clear()

    def plan(number: int, prompt: str) -> None:
        if number == 15:
            server.leave()

    server.plan = plan
    line = one_line(run())
    assert line.startswith("1 datagen: ")
    assert "is gone" in line
    server.start()
    server.plan = lambda number, prompt: None
    assert run() == (0, [])
    assert data(Path(), "p") == data(Path(), "undisturbed")
    assert server.repeated <= 4


def test_one_request_that_hangs_or_is_too_long_or_garbled_drops_its_row_alone(run: Says, server: Server) -> None:
    def plan(number: int, prompt: str) -> web.Response | str | None:
        if prompt == "Say 7":
            return "hang"
        if prompt == "Say 8":
            return refuse(400, "This model's maximum context length is 512 tokens")(number, prompt)
        return web.Response(body=b"<html>busy</html>") if prompt == "Say 9" else None

    server.plan = plan
    assert run(timeout_s=0.5, max_attempts=2) == (0, [])
    kept = {record.instruction: record.dropped for record in dropped()}
    reasons = {text: drop.reason for text, drop in kept.items() if drop}
    assert reasons == {
        "Say 7": "answer:timeout",
        "Say 8": "answer:context_length",
        "Say 9": "answer:bad_response",
    }
    evidence = {text: drop.evidence for text, drop in kept.items() if drop}
    assert (evidence["Say 7"]["attempts"], evidence["Say 9"]["raw"]) == (2, "<html>busy</html>")


def test_a_reply_of_ten_megabytes_is_a_reply(run: Says, server: Server) -> None:
    long = "word " * 2_000_000
    server.plan = lambda number, prompt: long if prompt == "Say 3" else None
    assert run() == (0, [])
    rows = list(read_records(next(Path("runs/p").glob("answers-*/rows.jsonl"))))
    assert (len(rows), len(rows[3].answer)) == (ROWS, len(long.strip()))


def test_mixed_429_and_500_lose_no_row(run: Says, server: Server) -> None:
    def plan(number: int, prompt: str) -> web.Response | None:
        wait = {"Retry-After": "0.05"}
        return web.Response(status=(429, 500)[number % 2], headers=wait) if number % 5 < 2 else None

    server.plan = plan
    assert run(max_attempts=12) == (0, [])
    assert not dropped()


# The journal


def test_a_file_that_is_no_journal_is_one_line(run: Says) -> None:
    Path("runs").mkdir()
    Path("runs/journal.sqlite").write_bytes(b"not a database at all, " * 500)
    assert "2 datagen: journal runs/journal.sqlite: file is not a database" in one_line(run())


def test_a_journal_damaged_in_its_middle_is_one_line(run: Says) -> None:
    assert run() == (0, [])
    path = Path("runs/journal.sqlite")
    whole = path.read_bytes()
    path.write_bytes(whole[:8192] + b"\xff" * (len(whole) - 8192))
    line = one_line(run("seed=1"))
    assert line.startswith("1 datagen: journal runs/journal.sqlite: ")
    assert "malformed" in line


def test_a_journal_of_a_newer_version_is_one_line(run: Says) -> None:
    Path("runs").mkdir()
    newer = sqlite3.connect("runs/journal.sqlite")
    newer.execute("PRAGMA user_version=99")
    newer.close()
    assert "2 datagen: journal runs/journal.sqlite: written by a newer datagen (format 99)" in one_line(run())


@pytest.fixture
def read_only(tmp_path: Path) -> Iterator[Path]:
    """A folder with a journal, mounted read-only: permissions alone do not stop root."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=1m", "none", str(folder)]
    if os.geteuid() != 0 or subprocess.run(mount, capture_output=True).returncode:
        pytest.skip("only root can mount a read-only disk")
    Journal(folder / "journal.sqlite").close()
    (folder / "p").mkdir()
    subprocess.run(["mount", "-o", "remount,ro", str(folder)], check=True)
    yield folder
    subprocess.run(["umount", str(folder)], check=True)


def test_a_read_only_journal_is_one_line(run: Says, read_only: Path) -> None:
    line = one_line(run("--root", str(read_only)))
    assert "Read-only" in line
    assert line.startswith("1 datagen: ")
