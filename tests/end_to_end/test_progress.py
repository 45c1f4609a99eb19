"""What a run says while it works, to a terminal, a pipe and a program, and how Ctrl-C ends it."""

from __future__ import annotations

import json
import os
import pty
import re
import signal
import time
from pathlib import Path

import pytest
import yaml
from aiohttp import web
from processes import finish, start
from server import Server

from datagen import progress
from datagen.cli import main
from datagen.record import encode, instruction

ROWS = 60
PRICE = {"input": 10_000, "output": 20_000}


@pytest.fixture
def folder(tmp_path: Path, server: Server) -> Path:
    """A pipeline that asks the server about each of 60 rows; every tenth request is refused."""

    def plan(number: int, prompt: str) -> web.Response | None:
        return web.json_response({"error": "no"}, status=400) if prompt.endswith("3") else None

    server.plan, server.latency_s = plan, 0.1
    rows = [encode(instruction(f"Say {number}", source="test")) for number in range(ROWS)]
    (tmp_path / "seeds.jsonl").write_bytes(b"\n".join(rows) + b"\n")
    teacher = {"use": "openai", "base_url": server.url, "model": "m", "concurrency": 4, "price": PRICE}
    stages = {
        "seeds": {"use": "sources.jsonl", "path": "seeds.jsonl"},
        "answers": {"use": "generators.answer", "llm": "teacher"},
    }
    document = {"llms": {"teacher": teacher}, "stages": stages}
    (tmp_path / "p.yaml").write_text(yaml.safe_dump(document, sort_keys=False))
    return tmp_path


def on_a_terminal(folder: Path, *words: str) -> str:
    """All that a run writes to a terminal."""
    ours, theirs = pty.openpty()
    process = start(folder, "run", "p.yaml", *words, stderr=theirs)
    os.close(theirs)
    written = b""
    while True:
        try:
            written += os.read(ours, 2**16)
        except OSError:  # what a closed terminal gives on Linux
            break
    os.close(ours)
    process.communicate(timeout=60)
    assert process.returncode == 0
    return written.decode()


def test_a_terminal_shows_one_line_a_stage_with_all_that_one_wants_to_know(folder: Path) -> None:
    written = on_a_terminal(folder, "--until", "answers")
    drawn = [line for line in re.split("\r|\n", written.replace("\x1b[2K", "")) if line.startswith("… answers")]
    assert len(drawn) > 3
    line = drawn[-1]
    done, total = re.findall(r"(\d+)/(\d+)", line)[0]
    assert 0 < int(done) < int(total) == ROWS
    assert re.search(r"\d+ s left", line), line
    assert re.search(r"\d+\.\d replies/s  [\d,]+ tokens/s  \$\d+\.\d\d", line), line
    assert all(len(line) <= 80 for line in drawn)
    kept = [line for line in written.splitlines() if "✓" in line]
    assert re.search(r"54 kept, 6 dropped \(http_400 6\), 54 calls, \$\d+", kept[-1]), kept
    assert len(kept) == 2


def test_what_failed_is_counted_by_its_reason(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setitem(progress._INTERVAL_S, "plain", 0.2)
    assert main(["run", "p.yaml"]) == 0
    lines = capsys.readouterr().err.splitlines()
    *shown, finished, diversity = lines[1:]
    assert all(re.match(r"  answers  \d+/60  ", line) for line in shown)
    assert re.search(r"failed: \d http_400  \d dropped$", shown[-1]), lines
    assert finished.startswith("✓ answers")
    assert "distinct-1" in diversity


def test_the_json_log_is_json_and_nothing_else(
    folder: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(folder)
    monkeypatch.setitem(progress._INTERVAL_S, "json", 0.2)
    assert main(["run", "p.yaml", "--json-log"]) == 0
    events = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    shown = [event for event in events if event["event"] == "progress"][-1]
    asked = {"replies", "replayed", "replies_per_s", "tokens_per_s", "usd", "failures"}
    assert shown.keys() >= {"stage", "done", "total", "left_s", "kept", "dropped", *asked}
    assert (events[-1]["calls"], events[-1]["reasons"]) == (54, {"answer:http_400": 6})
    assert events[-1]["usd"] > 0


def test_the_end_of_a_run_that_fails_is_json_too(folder: Path) -> None:
    code, lines = finish(start(folder, "run", "p.yaml", "--json-log", "llms.teacher.base_url=http://127.0.0.1:9/v1"))
    events = [json.loads(line) for line in lines]
    assert (code, events[-1]["event"], events[-1]["exit"]) == (2, "stopped", 2)
    assert events[-1]["message"].startswith("no server at")


def test_of_what_the_journal_replays_the_time_left_knows_nothing() -> None:
    done = [0]
    tracker = progress._Tracker("s", 1000, lambda: done[0], None, [])
    started = tracker.started
    for second in range(1, 200):  # 400 replayed in the first second, then one a second
        done[0] = 400 + second
        left = tracker._left_s(started + second, done[0])
    assert left == 1000 - done[0]


@pytest.mark.parametrize("times", [1, 2])
def test_ctrl_c_waits_for_what_is_in_flight_and_a_second_one_for_nothing(
    folder: Path, server: Server, times: int
) -> None:
    server.plan = lambda number, prompt: None
    server.latency_s = 1.0 if times == 1 else 600.0
    process = start(folder, "run", "p.yaml", "-q")
    while len(server.seen) < 4 and process.poll() is None:
        time.sleep(0.002)
    process.send_signal(signal.SIGINT)
    if times == 2:
        assert process.stderr is not None
        assert "waiting for 4 calls in flight; Ctrl-C again stops at once" in process.stderr.readline()
        process.send_signal(signal.SIGINT)
    code, lines = finish(process)
    lines = [line for line in lines if "waiting for" not in line]
    assert (code, len(lines)) == (130, 1), lines
    server.latency_s = 0.0
    assert finish(start(folder, "run", "p.yaml", "-q")) == (0, [])
    assert server.repeated == (0 if times == 1 else 4)
