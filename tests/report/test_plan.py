from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

import pytest

from datagen.cli import main
from datagen.record import read_records


@pytest.fixture(autouse=True)
def _files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    for name, size, words in (("long", 20, 8), ("short", 5, 2)):
        rows = [{"prompt": f"{name} {n}", "answer": " ".join(["word"] * (words - 2))} for n in range(size)]
        Path(f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in rows))


def planned(capsys: pytest.CaptureFixture[str], *words: str) -> dict[str, list[str]]:
    assert main(["mix", "long.jsonl", "short.jsonl", *words, "--plan"]) == 0
    return {line.split()[0]: line.split()[1:] for line in capsys.readouterr().out.splitlines()}


def test_the_plan_shows_rows_shares_repeats_and_tokens_and_writes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    table = planned(capsys, "size=20", "allow_repeats=true")
    assert table["source"] == ["there", "rows", "share", "repeats", "~tokens", "share"]
    assert table["long.jsonl"] == ["20", "10", "50.0%", "0", "97", "82.9%"]
    assert table["short.jsonl"] == ["5", "10", "50.0%", "5", "20", "17.1%"]
    assert table["all"] == ["25", "20", "5", "117"]
    assert table["~tokens:"][0] == "estimated,"
    assert not Path("runs").exists()


def test_the_plan_is_what_the_run_writes(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["counts={long.jsonl: 7, short.jsonl: 9}", "allow_repeats=true"]
    table = planned(capsys, *words)
    assert main(["mix", "long.jsonl", "short.jsonl", *words, "-o", "mixed.jsonl", "-q"]) == 0
    written = Counter(record.labels["mixture"] for record in read_records(Path("mixed.jsonl")))
    assert {name: int(table[f"{name}.jsonl"][1]) for name in ("long", "short")} == {"long": 7, "short": 9}
    assert written == {"long": 7, "short": 9}


def test_tokens_are_counted_where_a_tokenizer_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("tokenizers")
    table = planned(capsys, "temperature=2", "--tokenizer", "tiny-base")
    assert table["source"][4] == "tokens"
    assert int(table["all"][3]) > 50


def test_the_plan_says_what_a_preset_stands_for_and_goes_by_it(
    capsys: pytest.CaptureFixture[str], caplog: pytest.LogCaptureFixture
) -> None:
    table = planned(capsys, "preset=flan", "rate_max=8", "size=13")
    assert table["preset"] == ["flan:", "caps", "30,000,", "rate_max", "3,000"]
    assert (table["long.jsonl"][1], table["short.jsonl"][1]) == ("8", "5")
    Path("t0.jsonl").write_bytes(Path("long.jsonl").read_bytes())
    Path("cot.jsonl").write_bytes(Path("short.jsonl").read_bytes())
    assert main(["mix", "t0.jsonl", "cot.jsonl", "preset=flan_v2", "--plan"]) == 0
    assert "t0.jsonl" in capsys.readouterr().out
    assert "without flan2021, niv2, dialog, which are not there" in caplog.text


def test_check_says_what_a_preset_stands_for(capsys: pytest.CaptureFixture[str]) -> None:
    stages = "a: {use: sources.jsonl, path: long.jsonl}\n  mixed: {use: mixtures.blend, preset: flan, rate_max: 5}"
    Path("p.yaml").write_text(f"stages:\n  {stages}\n")
    assert main(["check", "p.yaml"]) == 0
    assert "preset flan: caps 30,000, rate_max 3,000" in capsys.readouterr().out


def test_settings_of_one_file_are_written_with_a_dot(capsys: pytest.CaptureFixture[str]) -> None:
    table = planned(capsys, "caps.long.jsonl=3", "caps.short.jsonl=1", "temperature=1")
    assert (table["long.jsonl"][1], table["short.jsonl"][1]) == ("3", "1")


def test_without_a_plan_a_result_needs_a_place(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["mix", "long.jsonl"]) == 2
    assert "say where the result goes with -o" in capsys.readouterr().err
