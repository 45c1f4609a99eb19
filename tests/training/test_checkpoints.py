import json
from pathlib import Path

from datagen.training.checkpoints import keep_until, last_complete, remove_incomplete, step_of
from datagen.training.launch import mean_loss


def make(folder: Path, step: int, state: str | None = "{}") -> Path:
    path = folder / f"checkpoint-{step}"
    path.mkdir(parents=True)
    (path / "model.safetensors").write_bytes(b"x")
    if state is not None:
        (path / "trainer_state.json").write_text(state)
    return path


def test_the_last_complete_checkpoint_is_found_by_number(tmp_path: Path) -> None:
    make(tmp_path, 9)
    newest = make(tmp_path, 10)
    assert last_complete(tmp_path) == newest
    assert step_of(newest) == 10


def test_half_written_checkpoints_are_removed(tmp_path: Path) -> None:
    good = make(tmp_path, 2)
    without_state, torn = make(tmp_path, 4, None), make(tmp_path, 6, '{"global')
    assert last_complete(tmp_path) == good
    remove_incomplete(tmp_path)
    assert last_complete(tmp_path) == good
    assert not without_state.exists()
    assert not torn.exists()


def test_other_folders_are_left_alone(tmp_path: Path) -> None:
    other = tmp_path / "checkpoint-best"
    other.mkdir()
    remove_incomplete(tmp_path)
    assert last_complete(tmp_path) is None
    assert other.is_dir()
    assert last_complete(tmp_path / "missing") is None
    assert step_of(None) == 0


def test_a_log_is_cut_back_to_the_checkpoint_and_a_torn_line_goes(tmp_path: Path) -> None:
    log = tmp_path / "metrics.jsonl"
    log.write_text("".join(json.dumps({"step": step}) + "\n" for step in (1, 2, 3)) + '{"step": 4, "lo')
    keep_until(log, 2)
    assert [json.loads(line)["step"] for line in log.read_text().splitlines()] == [1, 2]


def test_the_mean_loss_weighs_each_line_by_its_steps() -> None:
    entries = [{"step": 1, "loss": 4.0}, {"step": 3, "eval_loss": 9.0}, {"step": 11, "loss": 1.8}]
    assert mean_loss(entries) == 2.0  # (4 * 1 + 1.8 * 10) / 11
    assert mean_loss([]) is None
