"""The real client of the hub against a small hub on this machine."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from hub_server import Hub, serve

from datagen.cli import main


@pytest.fixture
def hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    pytest.importorskip("huggingface_hub")
    monkeypatch.chdir(tmp_path)
    rows = [{"prompt": f"Q{n}", "answer": "A", "split": "test" if n == 0 else "train"} for n in range(3)]
    Path("data.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))
    made = Hub()
    server = serve(made)
    yield made
    server.shutdown()
    server.server_close()


def push(hub: Hub, *words: str, token: str | None = "right") -> tuple[int, str]:
    """Exit status and output; the endpoint is read when the client is imported, so each is a process of its own."""
    environment = {key: value for key, value in os.environ.items() if not key.startswith("HF_")}
    environment |= {"HF_ENDPOINT": f"http://127.0.0.1:{hub.port}", "HF_HOME": str(Path.cwd() / "hf")}
    environment |= {"HF_HUB_DISABLE_XET": "1", **({"HF_TOKEN": token} if token else {})}
    command = [sys.executable, "-m", "datagen", "filter", "data.jsonl", "--use", "dedup_exact", "--format", "messages"]
    done = subprocess.run(
        [*command, "-q", "-o", "out", "--push", "me/set", *words], env=environment, capture_output=True, text=True
    )
    return done.returncode, done.stdout + done.stderr


def test_a_push_uploads_rows_and_card_and_nothing_else_to_a_private_data_set(hub: Hub) -> None:
    code, said = push(hub)
    assert code == 0, said
    assert "pushed it to http" in said
    assert hub.private is True
    assert sorted(hub.files) == [
        "README.md",
        "data/test-00000-of-00001.parquet",
        "data/train-00000-of-00001.parquet",
    ]
    for name, data in hub.files.items():
        assert data == Path("out", name).read_bytes()


def test_a_later_push_takes_old_rows_away(hub: Hub) -> None:
    push(hub)
    Path("data.jsonl").write_text(json.dumps({"prompt": "Q", "answer": "A"}) + "\n")
    code, said = push(hub)
    assert code == 0, said
    assert sorted(hub.files) == ["README.md", "data/train-00000-of-00001.parquet"]


def test_public_is_only_what_is_asked_to_be(hub: Hub) -> None:
    hub.private = False
    code, said = push(hub)
    assert code == 2
    assert "--push me/set: is there and public; say --public to upload to it" in said
    assert not hub.files
    assert push(hub, "--public")[0] == 0
    assert len(hub.files) == 3


def test_a_refused_token_and_a_hub_that_is_not_there_are_one_line_and_the_folder_stays(hub: Hub) -> None:
    code, said = push(hub, token="wrong-secret")
    assert code == 1
    assert "--push me/set: the hub refuses: " in said
    assert "wrong-secret" not in said
    assert "Traceback" not in said
    assert Path("out/README.md").is_file()
    hub.port = 9  # discard: nothing listens there
    code, said = push(hub)
    assert code == 1
    assert "the hub cannot be reached" in said


@pytest.mark.parametrize(
    ("words", "token", "problem"),
    [
        (["-o", "out", "--push", "me/set"], "", "--push: set HF_TOKEN in the environment"),
        (["-o", "out.jsonl", "--push", "me/set"], "x", "--push: uploads a folder: give -o FOLDER"),
        (["-o", "out", "--push", "set"], "x", "--push set: takes USER/NAME"),
    ],
)
def test_what_could_not_be_pushed_is_refused_before_any_work(
    words: list[str],
    token: str,
    problem: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HF_TOKEN", token)
    Path("data.jsonl").write_text(json.dumps({"prompt": "Q", "answer": "A"}) + "\n")
    assert main(["filter", "data.jsonl", "--use", "dedup_exact", *words]) == 2
    assert problem in capsys.readouterr().err
    assert not Path("runs").exists()
