"""A changed pipeline file asks again for what can have changed, and for nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml
from server import Server

from datagen.cli import main
from datagen.record import encode, instruction

ROWS = 3
PROMPT = "---\nsampling: {temperature: 0.7, max_tokens: 64}\n---\n@@ system\n%s\n@@ user\n{{ prompt[-1].content }}\n"


@pytest.fixture
def _folder(tmp_path: Path, server: Server, monkeypatch: pytest.MonkeyPatch) -> None:
    """A pipeline that has run: three rows were asked about."""
    monkeypatch.chdir(tmp_path)
    rows = [encode(instruction(f"Say {number}", source="test")) for number in range(ROWS)]
    (tmp_path / "seeds.jsonl").write_bytes(b"\n".join(rows) + b"\n")
    for name, system in (("prompt", "Be brief."), ("other", "Be very brief."), ("copy", "Be brief.")):
        (tmp_path / f"{name}.j2").write_text(PROMPT % system)
    document = {
        "llms": {"teacher": {"use": "openai", "base_url": server.url, "model": "m"}},
        "stages": {
            "seeds": {"use": "sources.jsonl", "path": "seeds.jsonl"},
            "answers": {"use": "generators.answer", "llm": "teacher", "prompt": "prompt.j2"},
        },
    }
    (tmp_path / "p.yaml").write_text(yaml.safe_dump(document, sort_keys=False))
    assert main(["run", "p.yaml", "-q"]) == 0
    assert server.seen.total() == ROWS


@pytest.mark.usefixtures("_folder")
@pytest.mark.parametrize(
    ("override", "new"),
    [
        ("llms.teacher.model=other", ROWS),
        ("llms.teacher.extra_body={min_p: 0.1}", ROWS),
        ("stages.answers.prompt=other.j2", ROWS),  # only the system prompt differs
        ("stages.answers.samples=2", ROWS),
        ("seed=1", ROWS),
        *(
            (f"{where}.sampling={{{field}}}", ROWS)
            for where in ("llms.teacher", "stages.answers")
            for field in ("temperature: 0.5", "max_tokens: 9", "seed: 3", "stop: [x]", "top_p: 0.9", "extra: {a: 1}")
        ),
        ("llms.teacher.sampling={temperature: 0.7}", 0),  # what the prompt says anyway
        ("stages.answers.prompt=copy.j2", 0),  # another file, the same words
        ("llms.teacher.concurrency=2", 0),
        ("llms.teacher.max_attempts=3", 0),
        ("llms.teacher.timeout_s=9", 0),
        ("llms.teacher.price={input: 1, output: 2}", 0),
        ("llms.teacher.headers={X-Team: t}", 0),
        ("budget={calls: 3}", 0),
        ("name=another", 0),
        ("stages.answers.on_failure=keep", 0),
    ],
)
def test_a_change_asks_again_for_what_it_can_change(server: Server, override: str, new: int) -> None:
    assert main(["run", "p.yaml", "-q", override]) == 0
    assert (server.seen.total() - ROWS, server.repeated) == (new, 0)


@pytest.mark.usefixtures("_folder")
def test_a_new_row_is_one_new_call_and_a_new_model_leaves_no_old_row(server: Server) -> None:
    with Path("seeds.jsonl").open("ab") as file:
        file.write(encode(instruction("Say more")) + b"\n")
    assert main(["run", "p.yaml", "-q"]) == 0
    assert server.seen.total() == ROWS + 1
    assert main(["run", "p.yaml", "-q", "llms.teacher.model=other"]) == 0
    (folder,) = {path.parent for path in Path("runs/p").glob("answers-*/rows.jsonl") if b'"other"' in path.read_bytes()}
    assert b'"model":"m"' not in (folder / "rows.jsonl").read_bytes()
