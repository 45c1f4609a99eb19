from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

import datagen
from datagen.cli import main
from datagen.record import Answer, Message, Record, encode, read_records
from datagen.text.shapes import SHAPES


def record(n: int, answers: int = 2) -> Record:
    said = [Answer(f"one {n}", "m", {"accuracy": float(n)}), Answer(f"two {n}", notes={"why": "x"} if n else {})]
    labels: dict[str, Any] = {"split": "test" if n % 4 == 0 else "train", **({"only_here": [1]} if n == 3 else {})}
    return Record((Message("user", f"Say {n}."),), tuple(said[:answers]), "made", labels=labels)


@pytest.fixture(autouse=True)
def _files(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    Path("data.jsonl").write_bytes(b"".join(encode(record(n)) + b"\n" for n in range(8)))


def exported(output: str, *words: str, data: str = "data.jsonl") -> None:
    assert main(["filter", data, "--use", "dedup_exact", "-o", output, "-q", *words]) == 0


def header(card: Path) -> dict[str, Any]:
    found: dict[str, Any] = yaml.safe_load(card.read_text().split("---\n")[1])
    return found


@pytest.mark.parametrize("suffix", ["jsonl", "json", "parquet"])
@pytest.mark.parametrize("shape", list(SHAPES))
def test_every_format_in_every_file_is_read_again_by_our_reader(suffix: str, shape: str) -> None:
    exported(f"out.{suffix}", "--format", shape)
    again = list(datagen.read(f"out.{suffix}"))
    assert len(again) == (16 if "unpaired" in shape else 8)
    assert not any(one.dropped for one in again)
    if shape == "records":
        assert again == list(read_records(Path("data.jsonl")))


@pytest.mark.parametrize("shape", list(SHAPES))
def test_a_folder_is_loaded_with_its_splits_by_datasets(shape: str, tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    exported("out", "--format", shape)
    loaded = datasets.load_dataset(str(tmp_path / "out"), cache_dir=str(tmp_path / "cache"))
    times = 2 if "unpaired" in shape else 1
    assert {split: len(rows) for split, rows in loaded.items()} == {"train": 6 * times, "test": 2 * times}
    expected = SHAPES[shape].rows(record(0))
    assert loaded["test"][0] == expected[0]


def test_what_is_saved_to_disk_is_a_dataset_dict(tmp_path: Path) -> None:
    datasets = pytest.importorskip("datasets")
    exported("out.arrow", "--format", "trl-preference")
    loaded = datasets.load_from_disk(str(tmp_path / "out.arrow"))
    assert {split: len(rows) for split, rows in loaded.items()} == {"train": 6, "test": 2}
    assert loaded["test"][0]["chosen"] == [{"role": "assistant", "content": "one 0"}]


def test_trl_takes_the_conversational_rows_for_what_they_are() -> None:
    data_utils = pytest.importorskip("trl.data_utils")
    for name, shape in SHAPES.items():
        if name.startswith("trl-"):
            rows = shape.rows(record(1))
            assert isinstance(rows, list)
            assert data_utils.is_conversational(rows[0]) == (not name.endswith("text")), name
    (implicit,) = SHAPES["trl-preference-implicit"].rows(record(1))
    assert [data_utils.extract_prompt(implicit)] == SHAPES["trl-preference"].rows(record(1))


def test_rows_that_fit_no_row_of_the_format_are_dropped_with_a_reason(capsys: pytest.CaptureFixture[str]) -> None:
    Path("mixed.jsonl").write_bytes(b"".join(encode(record(n, 1 + n % 2)) + b"\n" for n in range(8)))
    exported("out.jsonl", "--format", "trl-preference", data="mixed.jsonl")
    out = capsys.readouterr().out
    assert "wrote 4 rows to out.jsonl (trl-preference)" in out
    assert "4 rows fit no trl-preference: fewer than two answers 4" in out
    dropped = list(read_records(Path("out.dropped.jsonl")))
    assert [one.dropped.reason for one in dropped if one.dropped] == ["export:fewer_than_two_answers"] * 4
    assert [one.answer for one in dropped] == ["one 0", "one 2", "one 4", "one 6"]


def test_what_a_format_cannot_hold_is_counted_and_said(capsys: pytest.CaptureFixture[str]) -> None:
    exported("out.jsonl", "--format", "messages")
    assert (
        "not held by messages: further answers (8 rows), scores (8 rows), labels (8 rows), lineage (8 rows), "
        "notes (7 rows); --format records holds all" in capsys.readouterr().out
    )
    exported("all.jsonl")
    assert "not held" not in capsys.readouterr().out


def test_where_no_row_fits_nothing_is_left_but_the_reasons(capsys: pytest.CaptureFixture[str]) -> None:
    Path("single.jsonl").write_bytes(encode(record(1, 1)) + b"\n")
    words = ["filter", "single.jsonl", "--use", "dedup_exact", "--format", "trl-preference", "-q", "-o"]
    assert main([*words, "out.jsonl"]) == 2
    assert "no row fits trl-preference: fewer than two answers 1; see out.dropped.jsonl" in capsys.readouterr().err
    assert not Path("out.jsonl").exists()
    assert main([*words, "out"]) == 2
    assert not Path("out").exists()


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["-o", "x.csv"], "must end in .jsonl, .json, .parquet or .arrow, or be a folder"),
        (["-o", "there"], "there: is there and was not written by datagen"),
        (["-o", "there.jsonl"], "there.jsonl: is a folder"),
        (["-o", "x", "--public"], "--public: says how --push"),
        (["-o", "x", "--licence", "none.jsonl=mit"], "--licence none.jsonl=mit: takes a licence"),
    ],
)
def test_what_cannot_be_written_is_refused_before_any_work(
    words: list[str], problem: str, capsys: pytest.CaptureFixture[str]
) -> None:
    Path("there").mkdir()
    Path("there/mine.txt").write_text("x")
    Path("there.jsonl").mkdir()
    assert main(["filter", "data.jsonl", "--use", "dedup_exact", "-q", *words]) == 2
    assert problem in capsys.readouterr().err
    assert not Path("runs").exists()


def test_an_exported_folder_is_written_anew_without_old_splits() -> None:
    exported("out", "--format", "messages")
    Path("plain.jsonl").write_text(json.dumps({"prompt": "Q", "answer": "A"}) + "\n")
    exported("out", "--format", "messages", data="plain.jsonl")
    assert [path.name for path in sorted(Path("out/data").iterdir())] == ["train-00000-of-00001.parquet"]


def test_a_split_that_is_no_name_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    Path("bad.jsonl").write_text(json.dumps({"prompt": "Q", "answer": "A", "split": "../up"}) + "\n")
    assert main(["filter", "bad.jsonl", "--use", "dedup_exact", "-q", "-o", "out"]) == 2
    assert "'../up' is no name for a split" in capsys.readouterr().err


def test_the_card_of_a_folder_has_the_hubs_header_and_the_funnel() -> None:
    exported("out", "--format", "trl-preference", "--licence", "cc-by-4.0")
    card = Path("out/README.md")
    assert header(card) == {
        "pretty_name": "filter-out",
        "license": "cc-by-4.0",
        "size_categories": ["n<1K"],
        "task_categories": ["text-generation"],
        "tags": ["datagen", "trl", "dpo"],
        "configs": [
            {
                "config_name": "default",
                "data_files": [
                    {"split": "test", "path": "data/test-*"},
                    {"split": "train", "path": "data/train-*"},
                ],
            }
        ],
    }
    text = card.read_text()
    assert "| data | data.jsonl | 8 | cc-by-4.0 |" in text
    assert "| dedup\\_exact | filters.dedup\\_exact | 8 | 8 |" in text
    assert "The format does not hold: scores (8 rows)" in text
    assert "licence: cc-by-4.0" in text


def test_a_file_has_a_card_only_where_asked_for() -> None:
    exported("out.jsonl")
    assert not Path("out.card.md").exists()
    exported("out.jsonl", "--card")
    assert header(Path("out.card.md"))["license"] == "unknown"
    assert "| unknown |" in Path("out.card.md").read_text()


def test_a_card_tells_nothing_of_the_machine_and_no_data_breaks_out_of_it(tmp_path: Path) -> None:
    folder = tmp_path / "private"
    folder.mkdir()
    hostile = Record((Message("user", "````\n---\n# x"),), (Answer("a"),), "a|b\n<script>", language="en")
    (folder / "data.jsonl").write_bytes(encode(hostile) + b"\n" + encode(record(1)) + b"\n")
    exported("out", data=str(folder / "data.jsonl"))
    text = Path("out/README.md").read_text()
    assert str(tmp_path) not in text
    assert "| a\\|b &lt;script> | 1 |" in text
    assert "\n# x" not in text
    assert header(Path("out/README.md"))["language"] == ["en"]


def test_export_writes_any_finished_stage_of_a_run(capsys: pytest.CaptureFixture[str]) -> None:
    stages = {
        "rows": {"use": "sources.jsonl", "path": "data.jsonl", "licence": "mit"},
        "few": {"use": "filters.dedup_exact"},
        "held": {"use": "mixtures.split", "test": 2},
    }
    Path("p.yaml").write_text(yaml.safe_dump({"name": "toy", "stages": stages}, sort_keys=False))
    assert main(["run", "p.yaml", "-q"]) == 0
    assert main(["export", "toy", "-o", "out", "--format", "messages"]) == 0
    assert "wrote 8 rows to out (messages: " in capsys.readouterr().out
    assert header(Path("out/README.md"))["license"] == "mit"
    assert "datagen run pipeline.yaml --until held" in Path("out/README.md").read_text()
    assert main(["export", "toy", "few", "-o", "few.parquet"]) == 0
    assert len(list(datagen.read("few.parquet"))) == 8
    assert main(["export", "toy", "fewer", "-o", "x.jsonl"]) == 2
    assert "no finished stage 'fewer' with rows; there are: rows, few, held" in capsys.readouterr().err


def test_a_card_is_written_also_where_the_pipeline_does_not_check_out_any_more() -> None:
    Path("p.yaml").write_text(
        yaml.safe_dump({"name": "toy", "stages": {"rows": {"use": "sources.jsonl", "path": "data.jsonl"}}})
    )
    assert main(["run", "p.yaml", "-q"]) == 0
    Path("data.jsonl").unlink()
    assert main(["export", "toy", "-o", "out"]) == 0
    assert "Not known: the pipeline does not check out any more" in Path("out/README.md").read_text()


def test_a_licence_is_a_sources_and_a_text() -> None:
    for stage, licence in (("few", "mit"), ("rows", 3)):
        stages: dict[str, Any] = {"rows": {"use": "sources.jsonl", "path": "data.jsonl"}, "few": {"use": "dedup_exact"}}
        stages[stage]["licence"] = licence
        with pytest.raises(datagen.ConfigError, match="licence: names the licence of a source's data"):
            datagen.run({"name": "toy", "stages": stages})
