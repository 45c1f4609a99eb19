"""``against``: stages, files and named benchmarks in a pipeline file, what they mean, and what is shown of them."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from datagen import config, runner
from datagen.errors import ConfigError
from datagen.preview import preview
from datagen.report.show import print_outcome
from datagen.store import Store, read_result

QUESTION = "How many apples does Tom have after he gives three of his seven apples to Ann?"


@pytest.fixture
def files(tmp_path: Path) -> Path:
    (tmp_path / "test.jsonl").write_text(json.dumps({"question": QUESTION, "answer": "4"}) + "\n")
    (tmp_path / "own.jsonl").write_text(json.dumps({"instruction": "Name the capital of Peru.", "output": "Lima"}))
    rows = [{"instruction": text, "output": "x"} for text in (f"Solve: {QUESTION}", "Name the capital of Peru", "Sing")]
    (tmp_path / "data.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (tmp_path / "folder").mkdir()
    return tmp_path


def built(files: Path, against: Any) -> Any:
    stages = {
        "own": {"use": "sources.jsonl", "path": str(files / "own.jsonl")},
        "data": {"use": "sources.jsonl", "path": str(files / "data.jsonl")},
        "clean": {"use": "filters.decontaminate", "against": against},
    }
    return config.build({"name": "t", "stages": stages}, base=files)


def test_a_stage_a_list_and_named_benchmarks_are_rows_by_name(files: Path) -> None:
    def names(against: Any) -> dict[str, str]:
        return {name: one.stage for name, one in built(files, against).node("clean").arguments["against"].items()}

    assert names("own") == {"own": "own"}
    assert names(["own", "test.jsonl"]) == {"own": "own", "test": "test"}
    assert names({"gsm8k": "test.jsonl", "mine": "own"}) == {"gsm8k": "gsm8k", "mine": "own"}
    assert built(files, {"gsm8k": "test.jsonl"}).node("gsm8k").stage.name == "sources.benchmark"
    assert len(preview(built(files, {"gsm8k": "test.jsonl"}), 2).nodes) == 4


@pytest.mark.parametrize(
    ("against", "said"),
    [
        ({"gsm8": "folder"}, "did you mean 'gsm8k'"),
        ({"gsm8k": "nowhere.jsonl"}, "neither a stage above"),
        ({"bbh": "folder"}, "holds no file"),
        (7, "it takes"),
        ({"gsm8k": ["test.jsonl"]}, "it takes"),
    ],
)
def test_what_names_nothing_is_refused_before_any_work(files: Path, against: Any, said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        built(files, against)


def test_the_key_covers_the_benchmarks_files(files: Path, tmp_path: Path) -> None:
    def path() -> Path:
        pipeline = built(files, {"gsm8k": "test.jsonl"})
        node = pipeline.node("clean")
        assert node
        return Store(tmp_path, pipeline).path(node)

    before = path()
    assert path() == before
    (files / "test.jsonl").write_text(json.dumps({"question": "Another one?", "answer": "4"}) + "\n")
    assert path() != before


def test_the_report_is_stored_and_shown(files: Path, capsys: pytest.CaptureFixture[str]) -> None:
    pipeline = built(files, {"gsm8k": "test.jsonl", "mine": "own"})
    outcome = runner.run(pipeline, root=files / "runs")
    found = read_result(outcome.folders["clean"]).metrics
    assert found["gsm8k"] == {"items": 1, "items hit": 1, "rows dropped": 1, "ngram": 1, "same_prompt": 0}
    assert found["mine"] == {"items": 1, "items hit": 1, "rows dropped": 1, "ngram": 0, "same_prompt": 1}
    print_outcome(outcome)
    assert "items hit" in capsys.readouterr().out
