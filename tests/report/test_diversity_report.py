from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

import datagen
from datagen.cli import main
from datagen.report.diversity import line
from datagen.store import read_result
from datagen.text.diversity import Diversity


@pytest.fixture
def made(tmp_path: Path) -> Any:
    rows = [{"instruction": text} for text in ("Name a colour.", "Write a poem.", "What is red?")]
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    document = {
        "name": "small",
        "llms": {"one": {"use": "scripted", "replies": ["A red one."] * 6}},
        "stages": {
            "rows": {"use": "sources.jsonl", "path": str(tmp_path / "rows.jsonl")},
            "answered": {"use": "generators.answer", "llm": "one", "samples": 2},
            "long": {"use": "filters.length", "min_words": 1},
        },
    }
    return datagen.run(document, root=tmp_path / "runs")


def test_what_a_generation_stage_kept_is_measured_and_stored_and_no_other_stage(made: Any) -> None:
    found = read_result(made.folders["answered"]).diversity
    assert found == made.results["answered"].diversity
    assert (found.rows, found.verb_nouns, found.verb_noun_rows, found.answer_words) == (3, 2, 2, (3, 3, 3))
    assert made.results["rows"].diversity is None
    assert made.results["long"].diversity is None


def test_show_prints_it(made: Any, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", "small", "--root", str(made.folder.parent)]) == 0
    out = capsys.readouterr().out
    assert "verb-noun pairs" in out
    (row,) = [one for one in out.splitlines() if one.startswith("answered") and "3/3/3" in one]
    assert row.split()[:4] == ["answered", "3", "2", "2"]


def test_a_line_says_of_how_many_rows_it_speaks() -> None:
    found = Diversity(9, 90, 5, 6, 0.5, 0.25, 0.125, 4, (1, 2, 3), ())
    assert line(found) == (
        "9 of 90 rows: 5 verb-noun pairs in 6, distinct-1 0.500, distinct-2 0.250, "
        "nearest ROUGE-L 0.125 of 4 rows, words 1/2/3"
    )


def test_the_stage_says_so_when_it_ends(capsys: pytest.CaptureFixture[str], made: Any) -> None:
    from datagen.progress import Progress

    Progress("plain").finished(made.results["answered"])
    Progress("plain").skipped(made.results["answered"])
    assert capsys.readouterr().err.count("verb-noun pairs") == 1
