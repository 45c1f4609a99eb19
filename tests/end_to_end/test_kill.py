"""``kill -9`` at any moment, then the same command: no row is lost, and what was paid for is not paid for again."""

from __future__ import annotations

import json
import random
import signal
import time
from pathlib import Path
from typing import Any

import pytest
import yaml
from processes import data, finish, requests, run, start, wait_for_requests, write_pipeline
from server import Server

from datagen.llm.journal_tools import stored
from datagen.plugins import stage_names

WORDS = ["ash", "bay", "cliff", "dune", "elm", "fern", "glade", "heath", "inlet", "knoll", "lake", "moor"]
USUALLY_IN_FLIGHT = 16
"""4 requests are under way at once; on a busy machine, replies that wait for the disk may be some more."""


def in_flight(folder: Path) -> int:
    """Requests that reached the back end, and whose replies the journal does not hold."""
    path = folder / "runs" / "journal.sqlite"
    asked = {line.split()[0] for line in requests(folder)}
    return len(asked) - (sum(1 for _ in stored(path)) if path.exists() else 0)


def killed_at(folder: Path, request: int) -> int:
    """Kill a run at its n-th request; how many were in flight."""
    process = start(folder, "run", "toy.yaml", "-q")
    wait_for_requests(folder, request, process)
    process.kill()
    finish(process)
    return in_flight(folder)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[int, tuple[dict[str, bytes], int]]:
    made = {}
    for n in (60, 600):
        folder = tmp_path_factory.mktemp("undisturbed")
        write_pipeline(folder, n=n)
        assert run(folder, "run", "toy.yaml", "-q") == (0, [])
        made[n] = data(folder), len(requests(folder))
    return made


def test_a_run_killed_in_each_of_its_llm_stages_ends_as_if_nothing_had_been(
    tmp_path: Path, undisturbed: dict[int, tuple[dict[str, bytes], int]]
) -> None:
    expected, calls = undisturbed[60]
    write_pipeline(tmp_path, n=60, latency_s=0.01)
    lost = sum(killed_at(tmp_path, request) for request in (20, 80))
    assert run(tmp_path, "run", "toy.yaml", "-q") == (0, [])
    assert data(tmp_path) == expected
    assert calls <= len(requests(tmp_path)) <= calls + lost


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_a_run_killed_at_many_random_moments_ends_as_if_nothing_had_been(
    tmp_path: Path, undisturbed: dict[int, tuple[dict[str, bytes], int]], seed: int
) -> None:
    expected, calls = undisturbed[600]
    write_pipeline(tmp_path, n=600, latency_s=0.02)
    rng, lost = random.Random(seed), 0
    for kills in range(1000):
        process = start(tmp_path, "run", "toy.yaml", "-q")
        if kills < 12:
            wait_for_requests(tmp_path, len(requests(tmp_path)) + rng.choice((0, 1, 10, 150)), process)
            time.sleep(rng.random() * 0.05)
            process.kill()
        if finish(process) == (0, []):
            break
        lost += in_flight(tmp_path)
    assert kills >= 5
    assert data(tmp_path) == expected
    assert calls <= len(requests(tmp_path)) <= calls + lost


# Over HTTP, with the stages that people use


Stages = dict[str, dict[str, Any]]


def real_stages(count: int) -> Stages:
    """Generator, filters and grader behind an OpenAI-compatible server."""
    return {
        "seeds": {"use": "sources.jsonl", "path": "seeds/tasks.jsonl"},
        "tasks": {"use": "generators.self_instruct", "llm": "teacher", "count": count},
        "sized": {"use": "filters.length", "min_words": 3},
        "graded": {"use": "filters.grade", "llm": "judge", "min_score": 3},
    }


def write_real_pipeline(folder: Path, server: Server, stages: Stages) -> None:
    teacher = {"use": "openai", "base_url": server.url, "model": "m", "concurrency": 4}
    document = {"name": "toy", "llms": {"teacher": teacher, "judge": {**teacher, "model": "judge"}}, "stages": stages}
    folder.mkdir(exist_ok=True)
    rows = [{"instruction": f"Say what {word} is.", "output": f"It is {word}ish."} for word in WORDS]
    (folder / "rows.jsonl").write_text("".join(f"{json.dumps(row)}\n" for row in rows))
    (folder / "toy.yaml").write_text(yaml.safe_dump(document, sort_keys=False))


def finished(folder: Path, server: Server) -> set[bytes]:
    """The requests whose replies the journal holds."""
    path = folder / "runs" / "journal.sqlite"
    return {server.asked[one.reply.text] for one in stored(path)} if path.exists() else set()


def killed_and_resumed(folder: Path, server: Server, stages: Stages, *, kills: int, seed: int = 0) -> int:
    """Killed so often, at moments spread over the run by chance, it ends as if nothing had been, and no request whose
    reply is in the journal comes again. Gives back how many were in flight at the kills: asked, and not in the journal.
    """
    write_real_pipeline(folder / "undisturbed", server, stages)
    assert run(folder / "undisturbed", "run", "toy.yaml", "-q") == (0, [])
    expected, calls = data(folder / "undisturbed"), server.seen.total()
    assert server.repeated == 0
    server.seen.clear()
    server.latency_s = 0.02
    write_real_pipeline(folder / "killed", server, stages)
    rng, in_flight = random.Random(seed), 0
    for moment in sorted(rng.sample(range(calls), kills)):
        done = finished(folder / "killed", server)
        before = {request: server.seen[request] for request in done}
        process = start(folder / "killed", "run", "toy.yaml", "-q")
        while len(server.seen) < moment and process.poll() is None:
            time.sleep(0.002)
        time.sleep(rng.random() * 0.02)
        process.kill()
        assert finish(process)[0] == -signal.SIGKILL
        assert before == {request: server.seen[request] for request in done}
        in_flight += len(server.seen.keys() - finished(folder / "killed", server))
    assert run(folder / "killed", "run", "toy.yaml", "-q") == (0, [])
    assert data(folder / "killed") == expected
    assert len(server.seen) == calls
    assert server.repeated <= in_flight
    return in_flight


def test_generator_filter_and_grader_killed_twice_end_as_if_nothing_had_been(tmp_path: Path, server: Server) -> None:
    assert killed_and_resumed(tmp_path, server, real_stages(20), kills=2) > 0


def test_ctrl_c_waits_for_what_is_in_flight_and_nothing_is_paid_for_again(tmp_path: Path, server: Server) -> None:
    write_real_pipeline(tmp_path / "run", server, real_stages(20))
    server.latency_s = 0.2
    for moment in (5, 25):
        process = start(tmp_path / "run", "run", "toy.yaml", "-q")
        while len(server.seen) < moment and process.poll() is None:
            time.sleep(0.002)
        process.send_signal(signal.SIGINT)
        code, lines = finish(process)
        assert (code, [line.split(":")[0] for line in lines if "waiting for" not in line]) == (130, ["datagen"])
    server.latency_s = 0.0
    assert run(tmp_path / "run", "run", "toy.yaml", "-q") == (0, [])
    assert server.repeated == 0


@pytest.mark.slow
def test_generator_filter_and_grader_killed_25_times_end_as_if_nothing_had_been(tmp_path: Path, server: Server) -> None:
    assert 0 < killed_and_resumed(tmp_path, server, real_stages(200), kills=25) <= 25 * USUALLY_IN_FLIGHT


GENERATORS: Stages = {
    "answer": {"use": "generators.answer", "samples": 3},
    "self_instruct": {"use": "generators.self_instruct", "count": 30, "prompts_per_round": 2},
    "alpaca": {"use": "generators.self_instruct", "count": 100, "prompts_per_round": 2, "style": "alpaca"},
    "evol_instruct": {"use": "generators.evol_instruct", "rounds": 3},
    "evol_code": {"use": "generators.evol_instruct", "rounds": 3, "style": "code"},
    "two_roles": {"use": "generators.self_chat"},
    "one_call": {"use": "generators.self_chat", "style": "one_call"},
    "answer_after": {"use": "generators.translate_answer", "languages": ["German", "Thai", "Zulu"], "per_record": 2},
    "translate_after": {
        "use": "generators.translate_answer",
        "languages": {"German": 3, "Thai": 1},
        "order": "translate_after",
    },
}


@pytest.mark.slow
@pytest.mark.parametrize("name", GENERATORS)
def test_every_generator_that_is_killed_ends_as_if_nothing_had_been(tmp_path: Path, server: Server, name: str) -> None:
    rows = {"use": "sources.jsonl", "path": "rows.jsonl"}
    stages = {"rows": rows, "made": {**GENERATORS[name], "llm": "teacher"}}
    killed_and_resumed(tmp_path, server, stages, kills=2, seed=GENERATORS[name].get("rounds", len(name)))
    made = data(tmp_path / "killed")["made/rows.jsonl"]
    write_real_pipeline(tmp_path / "other", server, stages)
    assert run(tmp_path / "other", "run", "toy.yaml", "-q", "seed=1") == (0, [])
    assert data(tmp_path / "other")["made/rows.jsonl"] != made


def test_there_is_a_kill_for_every_generator() -> None:
    named = {stage for stage in stage_names() if stage.startswith("generators.")}
    assert named == {str(stage["use"]) for stage in GENERATORS.values()}
