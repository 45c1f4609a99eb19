from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import toy
import yaml

import datagen
from datagen import config
from datagen.errors import ConfigError, DataError, StageError
from datagen.keys import _leans_on
from datagen.pipeline import Input
from datagen.record import encode, instruction
from datagen.store import Result, Store, StoredRows, Writer, disk, write_atomically, write_result


def keys(tmp_path: Path, overrides: dict[str, Any] | None = None, **settings: Any) -> dict[str, str]:
    pipeline = config.build(toy.pipeline(log="", **settings), overrides)
    store = Store(tmp_path, pipeline)
    return {node.name: store.path(node).name for node in pipeline.nodes}


def changed(before: dict[str, str], after: dict[str, str]) -> list[str]:
    return [name for name in before if before[name] != after[name]]


@pytest.mark.parametrize(
    ("overrides", "stages"),
    [
        ({}, []),
        ({"stages.graded.at_least": 2}, ["graded"]),
        ({"stages.fewer.k": 5}, ["fewer", "graded"]),
        ({"stages.seeds.n": 5}, ["seeds", "answers", "fewer", "graded"]),
        ({"seed": 1}, ["seeds", "answers", "fewer", "graded"]),
        ({"llms.teacher.sampling": {"temperature": 0}}, ["answers", "fewer", "graded"]),
        ({"llms.teacher.fail": "9"}, ["answers", "fewer", "graded"]),
        ({"llms.teacher.prompts": "tiny"}, ["answers", "fewer", "graded"]),
        ({"llms.teacher.concurrency": 99, "llms.teacher.latency_s": 1}, []),
        ({"llms.other": {"use": "toy:backend"}}, []),
        ({"name": "other"}, []),
    ],
)
def test_a_change_re_makes_what_is_downstream_of_it_and_nothing_else(
    tmp_path: Path, overrides: dict[str, Any], stages: list[str]
) -> None:
    assert changed(keys(tmp_path), keys(tmp_path, overrides)) == stages


def test_bytes_of_files_and_prompts_are_part_of_the_key_and_their_places_are_not(tmp_path: Path) -> None:
    def key(folder: Path, data: str, prompt: str) -> list[str]:
        folder.mkdir(exist_ok=True)
        (folder / "data.jsonl").write_text(data)
        (folder / "mine.j2").write_text(prompt)
        document = {
            "name": "x",
            "llms": {"t": {"use": "toy:backend"}},
            "stages": {
                "data": {"use": "sources.jsonl", "path": "data.jsonl"},
                "answers": {"use": "generators.answer", "llm": "t", "prompt": "mine.j2"},
            },
        }
        pipeline = config.build(document, base=folder)
        return [Store(tmp_path, pipeline).path(node).name for node in pipeline.nodes]

    first = key(tmp_path / "a", "1", "@@ user\nHi")
    assert key(tmp_path / "b", "1", "@@ user\nHi") == first
    assert key(tmp_path / "a", "2", "@@ user\nHi")[0] != first[0]
    changed_prompt = key(tmp_path / "a", "1", "@@ user\nHi!")
    assert changed_prompt[0] == first[0]
    assert changed_prompt[1] != first[1]


def test_the_code_of_a_stage_is_part_of_its_key(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    code = tmp_path / "versioned.py"
    code.write_text("def source(*, n: int = 1):\n    yield from ()\n")
    pipeline = config.build({"name": "x", "stages": {"a": {"use": "versioned:source"}}})
    before = Store(tmp_path, pipeline).path(pipeline.nodes[0])
    code.write_text(code.read_text() + "# changed\n")
    assert Store(tmp_path, pipeline).path(pipeline.nodes[0]) != before


def test_the_code_of_an_oracle_is_part_of_the_key_and_is_not_run(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.syspath_prepend(tmp_path)
    code = tmp_path / "my_oracle.py"
    code.write_text("raise SystemExit\n")
    stages = {
        "a": {"use": "toy:numbers"},
        "b": {"use": "evaluation.data_accuracy", "from": ["a"], "oracle": "my_oracle:check"},
    }
    pipeline = config.build({"name": "x", "stages": stages})
    before = [Store(tmp_path, pipeline).path(node) for node in pipeline.nodes]
    code.write_text(code.read_text() + "# changed\n")
    after = [Store(tmp_path, pipeline).path(node) for node in pipeline.nodes]
    assert (before[0] == after[0], before[1] == after[1]) == (True, False)


def test_checking_leaves_nothing_behind(tmp_path: Path) -> None:
    keys(tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_run_leaves_the_documented_files(tmp_path: Path, run_toy: Callable[..., Any]) -> None:
    outcome = run_toy({"stages.seeds.n": 8})
    folder = tmp_path / "runs" / "toy"
    assert outcome.folder == folder
    index = json.loads((folder / "run.json").read_text())["stages"]
    assert list(index) == ["seeds", "answers", "fewer", "graded"]
    for name, place in index.items():
        asked = {"replies.jsonl"} if name == "answers" else set()
        found = {p.name for p in (folder / place).iterdir()}
        assert found == {"rows.jsonl", "dropped.jsonl", "stage.json"} | asked
    assert (tmp_path / "runs" / "journal.sqlite").is_file()
    assert yaml.safe_load((folder / "pipeline.yaml").read_text())["stages"]["seeds"]["n"] == 8


def test_the_resolved_file_runs_as_it_is(tmp_path: Path, run_toy: Callable[..., Any]) -> None:
    first = run_toy({"stages.seeds.n": 8})
    again = datagen.run(tmp_path / "runs" / "toy" / "pipeline.yaml", root=tmp_path / "runs")
    assert again.folders == first.folders


def test_a_folder_without_its_marker_is_made_again(tmp_path: Path, run_toy: Callable[..., Any]) -> None:
    folder = run_toy().folders["answers"]
    rows = (folder / "rows.jsonl").read_bytes()
    (folder / "stage.json").unlink()
    (folder / "rows.jsonl").write_bytes(rows[:100])
    result = run_toy().results["answers"]
    assert (result.calls, result.replayed) == (0, 20)
    assert (folder / "rows.jsonl").read_bytes() == rows


def test_a_held_lock_is_a_clear_error(tmp_path: Path) -> None:
    pipeline = config.build(toy.pipeline(log=""))
    with Store(tmp_path, pipeline).opened(), pytest.raises(ConfigError, match=r"another run is writing .*toy; wait"):
        Store(tmp_path, pipeline).opened().__enter__()
    with Store(tmp_path, pipeline).opened():
        pass


def test_rows_and_drops_are_kept_apart_and_counted(tmp_path: Path) -> None:
    writer = Writer(tmp_path)
    for number in range(6):
        record = instruction(str(number)).labelled(split="a" if number % 2 else "b")
        writer.write(record.drop("x:y") if number < 2 else record)
    writer.sync()
    writer.close()
    writer.close()
    assert (writer.kept, writer.dropped, dict(writer.reasons), dict(writer.parts)) == (
        4,
        2,
        {"x:y": 2},
        {"a": 2, "b": 2},
    )
    write_result(tmp_path, Result("s", "toy", "stream", [], kept=4, parts=dict(writer.parts)))
    rows = StoredRows(tmp_path)
    assert [r.instruction for r in rows] == [r.instruction for r in rows] == ["2", "3", "4", "5"]
    part = StoredRows(tmp_path, "a")
    assert (len(part), [r.instruction for r in part]) == (2, ["3", "5"])
    with pytest.raises(ConfigError, match="s has no such part; it has: b, a"):
        StoredRows(tmp_path, "c")


def test_a_row_set_that_a_killed_run_left_is_not_taken_for_rows_with_that_label(tmp_path: Path) -> None:
    killed = Writer(tmp_path)
    killed.put("a", instruction("old"))
    killed.close()
    writer = Writer(tmp_path)
    writer.write(instruction("new").labelled(split="a"))
    writer.close()
    write_result(tmp_path, Result("s", "toy", "stream", [], kept=1, parts=dict(writer.parts)))
    assert [row.instruction for row in StoredRows(tmp_path, "a")] == ["new"]


def test_a_damaged_row_is_one_clear_error(tmp_path: Path) -> None:
    write_result(tmp_path, Result("s", "toy", "stream", [], kept=2))
    (tmp_path / "rows.jsonl").write_bytes(encode(instruction("a")) + b"\n{")
    with pytest.raises(DataError, match=r"rows\.jsonl, line 2"):
        list(StoredRows(tmp_path))


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path: Path) -> None:
    path = tmp_path / "x"
    write_atomically(path, b"one")
    with pytest.raises(TypeError):
        write_atomically(path, "text")  # type: ignore[arg-type]
    assert path.read_bytes() == b"one"


def test_what_the_disk_refuses_names_the_stage() -> None:
    with pytest.raises(StageError, match=r"graded: .*No such file.*/none/x"), disk("graded"):
        Path("/none/x").read_bytes()
    with pytest.raises(StageError, match="graded: the disk is full"), disk("graded"):
        raise OSError(28, "No space left on device")


def test_an_input_is_spelled_as_in_the_file() -> None:
    assert [str(Input("a")), str(Input("a", "train"))] == ["a", "a.train"]


def test_a_stage_is_keyed_by_its_helpers_and_the_worker_it_starts() -> None:
    training = Path(datagen.__file__).parent / "training"
    covered = {path.name for path in _leans_on("datagen.training.sft", training / "sft.py")}
    assert {"sft.py", "launch.py", "worker.py", "settings.py"} <= covered
    assert "dpo.py" not in covered


def test_a_module_imported_by_its_whole_name_is_part_of_the_code(tmp_path: Path) -> None:
    stage = tmp_path / "stage.py"
    stage.write_text("import datagen.text.words\n")
    assert "words.py" in {path.name for path in _leans_on("stage", stage)}


def test_a_prompt_that_settings_choose_is_part_of_the_key(tmp_path: Path) -> None:
    def key(words: str, operation: str) -> str:
        (tmp_path / "pack" / "evol_instruct").mkdir(parents=True, exist_ok=True)
        (tmp_path / "pack" / "evol_instruct" / "rhyme.j2").write_text(f"@@ user\n{words}")
        stages = {
            "data": {"use": "toy:numbers", "n": 3},
            "evolved": {"use": "generators.evol_instruct", "llm": "t", "operations": [operation]},
        }
        llms = {"t": {"use": "toy:backend", "prompts": "pack"}}
        pipeline = config.build({"name": "x", "llms": llms, "stages": stages}, base=tmp_path)
        return Store(tmp_path, pipeline).path(pipeline.nodes[1]).name

    assert key("Make it rhyme.", "rhyme") == key("Make it rhyme.", "rhyme")
    assert key("Make it rhyme.", "rhyme") != key("Make it rhyme!", "rhyme")
    assert key("Make it rhyme.", "deepen") == key("Make it rhyme!", "deepen")
