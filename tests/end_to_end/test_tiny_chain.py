"""The quickstart for real, small: tiny generates, grades, trains and is measured, and ``kill -9`` costs nothing."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Callable
from pathlib import Path

import pytest
from processes import data, finish, run, start

from datagen.store import read_result

pytestmark = pytest.mark.slow

SMALL = [
    "stages.tasks.count=80",
    "stages.graded.min_score=1",
    "stages.graded.expected=false",  # whole grades have no last digits that depend on the batch
    "stages.mixture.size=null",
    "stages.sft.args={max_steps: 40, save_steps: 5, learning_rate: 0.001}",
    "stages.score.limit=60",
]


def replies(folder: Path) -> int:
    """Replies in the journal."""
    path = folder / "runs" / "journal.sqlite"
    if not path.exists():
        return 0
    connection = sqlite3.connect(path, timeout=30)
    try:
        return int(connection.execute("SELECT count(*) FROM replies").fetchone()[0])
    except sqlite3.OperationalError:  # the file is there, the table not yet
        return 0
    finally:
        connection.close()


def running(folder: Path, stage: str) -> Path | None:
    """The stage's folder while the stage is under way."""
    folders = [f for f in (folder / "runs" / "quickstart").glob(f"{stage}-*") if not (f / "stage.json").exists()]
    return folders[0] if folders else None


def kill_when(folder: Path, ready: Callable[[], bool]) -> None:
    process = start(folder, "run", "quickstart", "-q", *SMALL)
    deadline = time.monotonic() + 300
    while not ready() and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.01)
    assert process.poll() is None, "the run ended before the moment to kill it"
    process.kill()
    finish(process)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("undisturbed")
    code, errors = run(folder, "run", "quickstart", "-q", *SMALL)
    assert code == 0, errors
    return folder


def result(folder: Path, stage: str):  # type: ignore[no-untyped-def]
    return read_result(next((folder / "runs" / "quickstart").glob(f"{stage}-*")))


def test_the_whole_chain_runs_and_the_student_beats_its_base(undisturbed: Path) -> None:
    score = result(undisturbed, "score").metrics
    assert score["model"]["exact_match"] > score["baseline"]["exact_match"]
    assert result(undisturbed, "tasks").kept >= 40
    assert (next((undisturbed / "runs" / "quickstart").glob("sft-*")) / "model" / "model.safetensors").is_file()


def test_a_run_killed_in_generation_grading_and_training_is_whole_and_pays_nothing_twice(
    tmp_path: Path, undisturbed: Path
) -> None:
    kill_when(tmp_path, lambda: replies(tmp_path) >= 20)
    assert running(tmp_path, "tasks")
    after_tasks = result(undisturbed, "tasks").calls
    kill_when(tmp_path, lambda: running(tmp_path, "graded") is not None and replies(tmp_path) > after_tasks + 5)
    kill_when(
        tmp_path, lambda: bool(list((running(tmp_path, "sft") or tmp_path / "no").glob("checkpoints/checkpoint-1*")))
    )
    code, errors = run(tmp_path, "run", "quickstart", "-q", *SMALL)
    assert code == 0, errors
    assert data(tmp_path, "quickstart") == data(undisturbed, "quickstart")
    assert (
        replies(tmp_path) - result(tmp_path, "score").calls == replies(undisturbed) - result(undisturbed, "score").calls
    )
    assert result(tmp_path, "sft").metrics["resumed_from_step"] >= 10
    assert result(tmp_path, "sft").metrics["steps"] == 40
