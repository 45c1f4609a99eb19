from __future__ import annotations

import gzip
import json
import logging
import os
import sys
from pathlib import Path
from typing import Any

import pytest

from datagen.errors import ConfigError, DataError
from datagen.record import Answer, Message, encode, instruction
from datagen.sources.jsonl import jsonl
from datagen.zstd import zstd

needs_data = pytest.mark.skipif(
    "DATAGEN_TEST_DATA" not in os.environ, reason="set DATAGEN_TEST_DATA to the data folder"
)


def lines(path: Path, *rows: Any) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


def test_our_own_records_come_back_whole_and_undropped(tmp_path: Path) -> None:
    record = instruction("Add 1 and 2.", "3", labels={"round": 1}, parents=("x",))
    path = tmp_path / "dropped.jsonl"
    path.write_bytes(encode(record) + b"\n\n" + encode(record.drop("length:too_short", words=1)) + b"\n")
    assert list(jsonl(path=path)) == [record, record]


def test_an_alpaca_array_keeps_the_split_in_its_labels(tmp_path: Path) -> None:
    path = tmp_path / "alpaca.json"
    rows = [
        {"instruction": "Sort.", "input": "b a", "output": "a b"},
        {"instruction": "Hi.", "input": "", "output": "Hello"},
    ]
    path.write_text(json.dumps(rows, indent=2))
    first, second = jsonl(path=path)
    assert (first.instruction, first.answer) == ("Sort.\nb a", "a b")
    assert first.labels == {"instruction": "Sort.", "input": "b a"}
    assert second.instruction == "Hi."


def test_a_chat_keeps_its_turns_and_its_last_answer(tmp_path: Path) -> None:
    turns = [("human", "Hi"), ("gpt", "Hello"), ("human", "Bye"), ("gpt", "Ciao")]
    row = {"id": "x1", "conversations": [{"from": role, "value": text} for role, text in turns]}
    (record,) = jsonl(path=lines(tmp_path / "chat.jsonl", row))
    assert record.prompt == (Message("user", "Hi"), Message("assistant", "Hello"), Message("user", "Bye"))
    assert record.answers == (Answer("Ciao"),)
    assert record.labels == {"id": "x1"}


def test_a_seed_task_gives_a_record_for_each_instance(tmp_path: Path) -> None:
    instances = [{"input": "hot", "output": "cold"}, {"input": "", "output": "?"}]
    row = {"id": "s1", "instruction": "Opposite?", "instances": instances, "is_classification": False}
    first, second = jsonl(path=lines(tmp_path / "seeds.jsonl", row))
    assert (first.instruction, first.answer) == ("Opposite?\nhot", "cold")
    assert second.instruction == "Opposite?"
    assert first.labels == {"id": "s1", "is_classification": False, "instruction": "Opposite?", "input": "hot"}


def test_preferences_come_chosen_first(tmp_path: Path) -> None:
    plain = {"prompt": "1 + 1?", "chosen": "2", "rejected": "3"}
    chat = {
        side: [{"role": "user", "content": "Hi"}, {"role": "assistant", "content": side}]
        for side in plain
        if side != "prompt"
    }
    one, two = jsonl(path=lines(tmp_path / "pairs.jsonl", plain, chat))
    assert [answer.content for answer in one.answers] == ["2", "3"]
    assert (two.instruction, [answer.content for answer in two.answers]) == ("Hi", ["chosen", "rejected"])


@pytest.mark.parametrize(
    "row", [{"question": "Q", "answer": "A"}, {"prompt": "Q", "completion": "A"}, {"input": "Q", "target": "A"}]
)
def test_plain_columns_are_recognised(tmp_path: Path, row: dict[str, str]) -> None:
    (record,) = jsonl(path=lines(tmp_path / "plain.jsonl", row))
    assert (record.instruction, record.answer) == ("Q", "A")


def test_malformed_lines_are_reported_and_kept_as_dropped(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "seeds.jsonl"
    path.write_text('{"prompt": "A", "answer": "B"}\n{"prompt": \n[1]\n\n{"prompt": 7}\n' + "x" * 2000 + "\n")
    with caplog.at_level(logging.WARNING, "datagen"):
        good, *bad = jsonl(path=path)
    assert good.answer == "B"
    assert [record.dropped and record.dropped.reason for record in bad] == ["jsonl:malformed"] * 4
    assert [record.dropped.evidence["line"] for record in bad if record.dropped] == [2, 3, 5, 6]
    assert bad[-1].dropped is not None
    assert len(bad[-1].dropped.evidence["raw"]) == 1000
    assert len(bad[-1].instruction) == 2000
    assert f"{path}, row 2: " in caplog.messages[0]


def test_the_sixth_warning_is_a_count(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text('{"prompt": "A"}\n' + "no\n" * 9)
    assert len(list(jsonl(path=path))) == 10
    assert len(caplog.messages) == 6
    assert caplog.messages[-1].endswith("9 malformed rows in all")


def test_a_prompt_without_a_user_turn_is_malformed(tmp_path: Path) -> None:
    rows = [
        {"messages": []},
        {"messages": [{"role": "assistant", "content": "Hi"}]},
        {"messages": [{"role": "tool", "content": "x"}]},
    ]
    fine = {"messages": [{"role": "user", "content": "Hi"}]}
    records = list(jsonl(path=lines(tmp_path / "chat.jsonl", *rows, fine)))
    assert [record.dropped is None for record in records] == [False, False, False, True]


def test_an_unknown_schema_names_its_keys_and_the_formats(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"keys foo, bar fits no format; allowed: records .* alpaca .* plain"):
        list(jsonl(path=lines(tmp_path / "x.jsonl", {"foo": 1, "bar": 2})))


@pytest.mark.parametrize("text", ["", "\n\n", "nonsense\n", "[]", "{}"])
def test_a_file_without_a_row_is_an_error(tmp_path: Path, text: str) -> None:
    path = tmp_path / "x.jsonl"
    path.write_text(text)
    with pytest.raises(DataError):
        list(jsonl(path=path))


def test_a_file_with_no_valid_row_of_its_format_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(DataError, match="no row could be read as prompt, chosen, rejected"):
        list(jsonl(path=lines(tmp_path / "x.jsonl", {"prompt": "A"}), format="preference"))


@pytest.mark.parametrize("text", ["3", '"x"', "null", "[1]"])
def test_a_document_that_holds_no_rows_is_an_error(tmp_path: Path, text: str) -> None:
    path = tmp_path / "rows.json"
    path.write_text(text)
    with pytest.raises(DataError, match="holds no JSON object"):
        list(jsonl(path=path))


@pytest.mark.parametrize("depth", [900, 1000, 100_000])
def test_a_row_that_is_nested_too_deep_is_malformed(tmp_path: Path, depth: int) -> None:
    deep = "[" * depth + "]" * depth
    ours = '{"prompt": [{"role": "user", "content": "Go"}], "answers": [{"content": "x"}]'
    for fields in (ours, '{"instruction": "Go", "output": "x"'):
        path = tmp_path / "rows.jsonl"
        path.write_text(f'{fields}}}\n{fields}, "labels": {{"a": {deep}}}}}\n')
        good, bad = jsonl(path=path)
        assert good.dropped is None
        assert bad.dropped is not None
        assert bad.dropped.reason == "jsonl:malformed"
        assert encode(bad)


def test_a_broken_array_is_an_error(tmp_path: Path) -> None:
    path = tmp_path / "x.json"
    path.write_text('[{"prompt": "A"},')
    with pytest.raises(DataError, match="not JSON"):
        list(jsonl(path=path))


@pytest.mark.parametrize("indent", [None, 1])
def test_a_document_with_one_list_of_rows_is_that_list(tmp_path: Path, indent: int | None) -> None:
    path = tmp_path / "bbh.json"
    path.write_text(json.dumps({"canary": "c", "examples": [{"input": "Q", "target": "A"}]}, indent=indent))
    assert [record.answer for record in jsonl(path=path)] == ["A"]


def test_compressed_files_and_a_byte_order_mark_are_read(tmp_path: Path) -> None:
    text = b'\xef\xbb\xbf{"prompt": "A", "answer": "B"}\n'
    (tmp_path / "x.jsonl.gz").write_bytes(gzip.compress(text))
    (tmp_path / "x.jsonl.zst").write_bytes(zstd.compress(text[:9]) + zstd.compress(text[9:]))
    for name in ("x.jsonl.gz", "x.jsonl.zst"):
        assert [record.answer for record in jsonl(path=tmp_path / name)] == ["B"]


@pytest.mark.parametrize("whole", [gzip.compress, zstd.compress])
@pytest.mark.parametrize("part", [slice(0, -5), slice(3, None)])
def test_a_compressed_file_that_is_cut_or_is_none_says_so(tmp_path: Path, whole: Any, part: slice) -> None:
    text = b"".join(b'{"prompt": "%d"}\n' % number for number in range(5000))
    path = tmp_path / f"x.jsonl.{'gz' if whole is gzip.compress else 'zst'}"
    path.write_bytes(whole(text)[part])
    with pytest.raises(DataError, match=r"x\.jsonl\.\w+: cannot be decompressed: "):
        list(jsonl(path=path))


def test_limit_counts_records(tmp_path: Path) -> None:
    path = lines(tmp_path / "x.jsonl", *({"prompt": str(n)} for n in range(9)))
    assert [record.instruction for record in jsonl(path=path, limit=2)] == ["0", "1"]


def test_parquet_is_read(tmp_path: Path) -> None:
    pyarrow = pytest.importorskip("pyarrow", reason="Parquet is in the extra 'parquet'")
    parquet = pytest.importorskip("pyarrow.parquet")
    path = tmp_path / "x.parquet"
    parquet.write_table(pyarrow.table({"question": ["Q"], "answer": ["A"]}), path)
    assert [record.answer for record in jsonl(path=path)] == ["A"]


def test_a_file_that_is_no_parquet_says_so(tmp_path: Path) -> None:
    pytest.importorskip("pyarrow")
    (path := tmp_path / "rows.parquet").write_bytes(b"PAR1 and no more than that PAR1")
    with pytest.raises(DataError, match=r"rows\.parquet: not Parquet"):
        list(jsonl(path=path))


def test_parquet_without_pyarrow_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "pyarrow", None)
    monkeypatch.setitem(sys.modules, "pyarrow.parquet", None)
    path = tmp_path / "x.parquet"
    path.touch()
    with pytest.raises(ConfigError, match=r"datagen\[parquet\]"):
        list(jsonl(path=path))


@needs_data
def test_alpaca_reads_whole() -> None:
    records = list(jsonl(path=Path(os.environ["DATAGEN_TEST_DATA"], "alpaca_52k/alpaca_data.json")))
    assert len(records) == 52_002
    assert not any(record.dropped for record in records)
