"""What goes wrong for users ends in one clear line, the right exit code, and nothing lost."""

from __future__ import annotations

import json
import os
import resource
import signal
import subprocess
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import yaml
from processes import data, finish, requests, run, start, wait_for_requests, write_pipeline

from datagen.cli import main
from datagen.record import encode, instruction, read_records

Says = Callable[..., tuple[int, list[str]]]


def one_line(lines: list[str]) -> str:
    assert len(lines) == 1, lines
    assert lines[0].startswith("datagen: ")
    return lines[0]


@pytest.fixture
def datagen_says(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Says:
    """Exit code and lines on stderr of a command in this process: for what needs no signal and no limit."""
    monkeypatch.chdir(tmp_path)

    def say(*words: str) -> tuple[int, list[str]]:
        code = main(words)
        return code, capsys.readouterr().err.splitlines()

    return say


def test_a_yaml_typo_is_one_line_with_its_number(tmp_path: Path, datagen_says: Says) -> None:
    (tmp_path / "p.yaml").write_text("stages:\n  a: {use: toy:numbers\n  b: {use: toy:every}\n")
    code, lines = datagen_says("run", "p.yaml")
    assert code == 2
    assert "p.yaml: not valid YAML: line 3" in one_line(lines)


def test_a_malformed_seed_line_is_reported_with_its_number_and_the_rest_is_used(tmp_path: Path) -> None:
    rows = [encode(instruction(f"Say {n}", "x")) for n in range(4)]
    rows[2] = b'{"prompt": [{"role": "user", '
    (tmp_path / "seeds.jsonl").write_bytes(b"\n".join(rows) + b"\n")
    stages = {"seeds": {"use": "sources.jsonl", "path": "seeds.jsonl"}}
    (tmp_path / "p.yaml").write_text(yaml.safe_dump({"stages": stages}))
    code, lines = run(tmp_path, "run", "p.yaml", "-q")
    assert code == 0
    assert [line for line in lines if "seeds.jsonl, row 3" in line] == lines
    (dropped,) = next((tmp_path / "runs" / "p").glob("seeds-*/dropped.jsonl")).read_bytes().splitlines()
    assert json.loads(dropped)["dropped"]["evidence"]["line"] == 3


@pytest.mark.parametrize("content", ["", "\n\n", "not json\n", "[]", '{"a": 1}\n'])
def test_a_seed_file_without_a_single_row_is_one_line(tmp_path: Path, datagen_says: Says, content: str) -> None:
    (tmp_path / "seeds.jsonl").write_text(content)
    stages = {"seeds": {"use": "sources.jsonl", "path": "seeds.jsonl"}}
    (tmp_path / "p.yaml").write_text(yaml.safe_dump({"stages": stages}))
    code, lines = datagen_says("run", "p.yaml", "-q")
    assert code == 2
    assert "seeds.jsonl" in one_line(lines)


def test_a_folder_where_a_file_is_wanted_is_one_line(tmp_path: Path, datagen_says: Says) -> None:
    (tmp_path / "seeds").mkdir()
    stages = {"rows": {"use": "sources.jsonl", "path": "seeds"}}
    (tmp_path / "p.yaml").write_text(yaml.safe_dump({"stages": stages}))
    code, lines = datagen_says("run", "p.yaml", "-q")
    assert code in (1, 2)
    assert "seeds" in one_line(lines)


def test_an_llm_that_answers_garbage_to_everything_drops_every_row_with_its_reason(
    tmp_path: Path, datagen_says: Says
) -> None:
    (tmp_path / "rules.jsonl").write_text(json.dumps({"match": "", "reply": "???"}))
    (tmp_path / "seeds.jsonl").write_bytes(b"".join(encode(instruction(f"Say {n}", "x")) + b"\n" for n in range(9)))
    document = {
        "llms": {"t": {"use": "scripted", "path": "rules.jsonl"}},
        "stages": {
            "seeds": {"use": "sources.jsonl", "path": "seeds.jsonl"},
            "graded": {"use": "filters.grade", "llm": "t"},
        },
    }
    (tmp_path / "p.yaml").write_text(yaml.safe_dump(document, sort_keys=False))
    code, lines = datagen_says("run", "p.yaml", "-q")
    assert code == 1, lines
    assert "kept none of 9 rows, most often grade:unparsed (9)" in one_line(lines)
    dropped = list(read_records(next((tmp_path / "runs" / "p").glob("graded-*/dropped.jsonl"))))
    assert {record.dropped.evidence["raw"] for record in dropped if record.dropped} == {"???"}


def test_an_unwritable_folder_is_one_line(tmp_path: Path, datagen_says: Says) -> None:
    write_pipeline(tmp_path)
    (tmp_path / "runs").write_text("a file")
    code, lines = datagen_says("run", "toy.yaml", "-q")
    assert code == 1
    assert "runs" in one_line(lines)


def test_a_bug_in_a_stage_shows_its_traceback_with_stage_and_record(tmp_path: Path) -> None:
    write_pipeline(tmp_path)
    code, lines = run(
        tmp_path, "run", "toy.yaml", "-q", "stages.bad={use: 'toy:broken_record', llm: teacher, from: seeds}"
    )
    text = "\n".join(lines)
    assert code == 1, lines
    assert "Traceback" in text
    assert "ZeroDivisionError: a bug" in text
    assert "'Say 3'" in text
    assert "in stage bad (toy:broken_record)" in text


def test_ctrl_c_is_one_line_and_exit_130_and_the_same_command_goes_on(tmp_path: Path) -> None:
    write_pipeline(tmp_path, n=100, latency_s=0.02)
    process = start(tmp_path, "run", "toy.yaml", "-q")
    wait_for_requests(tmp_path, 30, process)
    process.send_signal(signal.SIGINT)
    code, lines = finish(process)
    assert code == 130
    assert "the same command goes on from here" in one_line(lines)
    assert run(tmp_path, "run", "toy.yaml", "-q") == (0, [])
    assert len(requests(tmp_path)) <= 175 + 8


def test_ctrl_c_is_heard_in_a_stage_that_never_waits(tmp_path: Path) -> None:
    write_pipeline(tmp_path, n=10**9)
    process = start(tmp_path, "run", "toy.yaml", "-q", "--until", "seeds")
    while not any((tmp_path / "runs").glob("toy/seeds-*/rows.jsonl")):
        assert process.poll() is None
    process.send_signal(signal.SIGINT)
    code, lines = finish(process)
    assert code == 130
    one_line(lines)


def test_a_second_run_on_the_same_folder_is_refused_and_the_first_goes_on(tmp_path: Path) -> None:
    write_pipeline(tmp_path, n=4000, latency_s=0.1)
    first = start(tmp_path, "run", "toy.yaml", "-q")
    wait_for_requests(tmp_path, 4, first)
    code, lines = run(tmp_path, "run", "toy.yaml", "-q")
    assert code == 2
    assert "another run is writing runs/toy" in one_line(lines)
    first.send_signal(signal.SIGINT)
    finish(first)


# A full disk


def limited(limit: int) -> Callable[[], None]:
    """No file may grow beyond ``limit`` bytes: what a full disk looks like to rows and journal alike."""
    return lambda: resource.setrlimit(resource.RLIMIT_FSIZE, (limit, limit))


@pytest.mark.parametrize(
    ("limit", "refused"),
    [(5_000, "seeds: the disk is full"), pytest.param(70_000, "journal runs/journal.sqlite: ", marks=pytest.mark.slow)],
)
def test_a_disk_that_takes_no_more_is_one_line_and_nothing_is_paid_for_twice(
    tmp_path: Path, limit: int, refused: str
) -> None:
    write_pipeline(tmp_path, n=400, latency_s=0.002)
    code, lines = run(tmp_path, "run", "toy.yaml", "-q", preexec_fn=limited(limit))
    assert code == 1
    assert refused in one_line(lines)
    before = len(requests(tmp_path))
    assert run(tmp_path, "run", "toy.yaml", "-q") == (0, [])
    assert 700 <= len(requests(tmp_path)) <= 700 + min(before, 50)


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = (
        os.geteuid() == 0
        and not subprocess.run(
            ["mount", "-t", "tmpfs", "-o", "size=1m", "none", folder], capture_output=True
        ).returncode
    )
    if not mounted:
        pytest.skip("only root can mount a small disk")
    yield folder
    subprocess.run(["umount", folder], check=True)


@pytest.mark.slow
def test_a_full_disk_is_one_line_and_with_room_again_the_same_command_completes(
    tmp_path: Path, small_disk: Path
) -> None:
    write_pipeline(tmp_path, n=3000, latency_s=0.001)
    runs = str(small_disk / "runs")
    code, lines = run(tmp_path, "run", "toy.yaml", "-q", "--root", runs)
    assert code == 1
    assert "disk" in one_line(lines)
    assert len(requests(tmp_path)) > 100
    subprocess.run(["mount", "-o", "remount,size=64m", small_disk], check=True)
    assert run(tmp_path, "run", "toy.yaml", "-q", "--root", runs) == (0, [])
    write_pipeline(tmp_path / "clean", n=3000)
    assert run(tmp_path / "clean", "run", "toy.yaml", "-q", "--root", runs, "name=clean") == (0, [])
    assert len(requests(tmp_path)) <= 5250 + 50
    assert data(small_disk, "toy") == data(small_disk, "clean")
