from __future__ import annotations

import re
from pathlib import Path

import pytest

from datagen.record import Answer, encode, instruction
from datagen.report.show import print_outcome
from datagen.runner import Outcome
from datagen.store import Result, write_result


def outcome(folder: Path) -> Outcome:
    place = folder / "graded-1"
    place.mkdir()
    rows = [instruction(f"Say {n}").with_answers([Answer(f"reply {n}").scored("accuracy", 4.5)]) for n in range(10)]
    (place / "rows.jsonl").write_bytes(b"".join(encode(row) + b"\n" for row in rows))
    reasons = {"grade:low_score": 3, "grade:unparsed": 1}
    graded = Result("graded", "filters.grade", "loop", [], 14, 10, 4, reasons, calls=14)
    metrics = {"accuracy": 0.5, "note": "[b]x[/]", "base": {"right": 0.25, "of": 4, "p": 2e-7}, "n": 1200}
    score = Result("score", "evaluation.exact_match", "job", [], metrics=metrics)
    write_result(place, graded)
    return Outcome(folder, {"graded": graded, "score": score}, {"graded": place, "score": folder})


def test_the_report_holds_funnel_rows_scores_and_places(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    print_outcome(outcome(tmp_path), rows=2)
    out = capsys.readouterr().out
    for wanted in ("14", "low_score 3, unparsed 1", "2 rows of graded", "Say 0", "Say 5", "accuracy 4.5"):
        assert wanted in out
    for wanted in (
        "accuracy 0.500",
        "n 1,200",
        "note [b]x[/]",
        "base",
        "0.250",
        "2.0e-07",
        "graded-1",
        "rows.jsonl, dropped.jsonl",
    ):
        assert wanted in out


def test_rows_are_shown_of_what_was_made_last_and_of_a_source_only_where_nothing_was(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    made = outcome(tmp_path)
    place = tmp_path / "test-1"
    place.mkdir()
    (place / "rows.jsonl").write_bytes(encode(instruction("Test")) + b"\n")
    source = Result("test", "sources.jsonl", "source", [], kept=1)
    write_result(place, source)
    results, folders = {**made.results, "test": source}, {**made.folders, "test": place}
    print_outcome(Outcome(tmp_path, results, folders))
    assert "5 rows of graded" in capsys.readouterr().out
    print_outcome(Outcome(tmp_path, {"test": source}, {"test": place}))
    assert "1 rows of test" in capsys.readouterr().out


def test_long_and_many_lined_texts_are_cut_to_a_line(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    made = outcome(tmp_path)
    (made.folders["graded"] / "rows.jsonl").write_bytes(encode(instruction("a\nb " + "x" * 500, "y")) + b"\n")
    print_outcome(made)
    out = capsys.readouterr().out
    assert "a ⏎ b" in out
    assert out.count("x") < 170


def test_numbers_that_need_more_lines_are_wrapped_between_two_of_them(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    metrics = {f"number_{n}": n / 7 for n in range(20)}
    print_outcome(Outcome(tmp_path, {"x": Result("x", "training.sft", "job", [], metrics=metrics)}, {"x": tmp_path}))
    lines = [line for line in capsys.readouterr().out.splitlines() if "number_" in line]
    assert len(lines) > 1
    assert all(re.fullmatch(r"  number_\d+ \d\.\d{3}(  number_\d+ \d\.\d{3})*", line) for line in lines)
