"""Items of benchmarks by presets: every shipped one binds, and files of all kinds are read."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pytest

from datagen import assets
from datagen.errors import ConfigError, DataError
from datagen.plugins import load_stage
from datagen.sources.benchmark import benchmark

PRESETS = sorted(assets.folder("seeds").glob("benchmarks/*.yaml"))


def preset(folder: Path, text: str) -> Path:
    path = folder / "mine.yaml"
    path.write_text(text)
    return path


@pytest.mark.parametrize("path", PRESETS, ids=lambda path: path.stem)
def test_every_shipped_preset_names_its_source_and_the_fields_of_an_item(path: Path, tmp_path: Path) -> None:
    data = tmp_path / "data.jsonl"
    data.write_text("{}\n")
    load_stage("sources.benchmark").check({"path": str(data), "preset": str(path)})
    assert "arXiv" in path.read_text().splitlines()[0]
    with pytest.raises(DataError, match="no row has"):
        list(benchmark(path=data, preset=path))


def test_a_folder_of_documents_is_read_in_order_with_file_and_row(tmp_path: Path) -> None:
    folder = tmp_path / "bbh"
    folder.mkdir()
    for name in ("b", "a"):
        rows = [{"input": f"{name}{n}", "target": "x"} for n in range(2)]
        (folder / f"{name}.json").write_text(json.dumps({"canary": "c", "examples": rows}))
    (folder / "README.md").write_text("no items")
    found = list(benchmark(path=folder, preset=assets.folder("seeds") / "benchmarks" / "bbh.yaml"))
    assert [record.instruction for record in found] == ["a0", "a1", "b0", "b1"]
    assert found[2].labels == {"item": "b.json:1"}
    assert {record.source for record in found} == {"bbh"}


def test_tables_with_and_without_a_header_and_compressed(tmp_path: Path) -> None:
    (tmp_path / "t.csv").write_text('\ufeffid,q\n1,"What, then?"\n', encoding="utf-8")
    (tmp_path / "t.tsv").write_text('Is "this" it?\tyes\n')
    (tmp_path / "t.csv.gz").write_bytes(gzip.compress(b"id,q\n1,Why?\n"))
    form = preset(tmp_path, "item: [q]")
    assert [r.instruction for r in benchmark(path=tmp_path / "t.csv", preset=form)] == ["What, then?"]
    assert [r.instruction for r in benchmark(path=tmp_path / "t.csv.gz", preset=form)] == ["Why?"]
    form = preset(tmp_path, "item: [q]\ncolumns: [q, a]")
    assert [r.instruction for r in benchmark(path=tmp_path / "t.tsv", preset=form)] == ['Is "this" it?']


@pytest.mark.parametrize("row", [b'"' + b"a" * 200_000 + b'"', b"\xff"])
def test_a_table_that_cannot_be_read_is_one_clear_error(row: bytes, tmp_path: Path) -> None:
    path = tmp_path / "t.csv"
    path.write_bytes(b"q\n" + row + b"\n")
    with pytest.raises(DataError, match=r"t\.csv, line \d: "):
        list(benchmark(path=path, preset=preset(tmp_path, "item: [q]")))


def test_fields_may_be_nested_lists_and_missing(tmp_path: Path) -> None:
    data = tmp_path / "d.jsonl"
    rows = [{"turns": ["One?", "Two?"], "more": {"text": "Three?"}}, {"other": 1}, "no object", {"turns": []}]
    data.write_text("\n".join(map(json.dumps, rows)) + "\n{broken\n")
    found = list(benchmark(path=data, preset=preset(tmp_path, "item: [turns, more.text]")))
    assert found[0].instruction == "One?\nTwo?\nThree?"
    assert [record.dropped and record.dropped.reason for record in found[1:]] == ["benchmark:malformed"] * 4
    assert len(list(benchmark(path=data, preset=preset(tmp_path, "item: [turns]"), limit=1))) == 1


@pytest.mark.parametrize("text", ["item: []x", "fields: [q]", "item: q", "- item"])
def test_a_preset_that_is_none_is_refused_before_any_work(text: str, tmp_path: Path) -> None:
    (tmp_path / "d.jsonl").write_text("{}")
    with pytest.raises(ConfigError, match="no preset of a benchmark"):
        load_stage("sources.benchmark").check({"path": tmp_path / "d.jsonl", "preset": preset(tmp_path, text)})


def test_a_folder_without_such_files_is_refused_before_any_work(tmp_path: Path) -> None:
    form = preset(tmp_path, 'item: [q]\nfiles: "*.parquet"')
    with pytest.raises(ConfigError, match="holds no file"):
        load_stage("sources.benchmark").check({"path": tmp_path, "preset": form})
