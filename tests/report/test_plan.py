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


def test_the_plan_shows_rows_shares_repeats_and_words_and_writes_nothing(capsys: pytest.CaptureFixture[str]) -> None:
    table = planned(capsys, "size=20", "allow_repeats=true")
    assert table["source"] == ["there", "rows", "share", "repeats", "words", "share"]
    assert table["long.jsonl"] == ["20", "10", "50.0%", "0", "80", "80.0%"]
    assert table["short.jsonl"] == ["5", "10", "50.0%", "5", "20", "20.0%"]
    assert table["all"] == ["25", "20", "5", "100"]
    assert not Path("runs").exists()


def test_the_plan_is_what_the_run_writes(capsys: pytest.CaptureFixture[str]) -> None:
    words = ["counts={long.jsonl: 7, short.jsonl: 9}", "allow_repeats=true"]
    table = planned(capsys, *words)
    assert main(["mix", "long.jsonl", "short.jsonl", *words, "-o", "mixed.jsonl", "-q"]) == 0
    written = Counter(record.labels["mixture"] for record in read_records(Path("mixed.jsonl")))
    assert {name: int(table[f"{name}.jsonl"][1]) for name in ("long", "short")} == {"long": 7, "short": 9}
    assert written == {"data_long": 7, "data_short": 9}


def test_tokens_are_counted_where_a_tokenizer_is_named(capsys: pytest.CaptureFixture[str]) -> None:
    pytest.importorskip("tokenizers")
    table = planned(capsys, "temperature=2", "--tokenizer", "tiny-base")
    assert table["source"][4] == "tokens"
    assert int(table["all"][3]) > 50


def test_without_a_plan_a_result_needs_a_place(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["mix", "long.jsonl"]) == 2
    assert "say where the result goes with -o" in capsys.readouterr().err
