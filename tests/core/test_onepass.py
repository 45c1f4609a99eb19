"""Sources and filters in one pass over blocks of rows, in this process and in others."""

from __future__ import annotations

import itertools
import json
import logging
import os
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import pytest

import datagen
from datagen.blocks import Course, Filter, Verdict, judge_of
from datagen.errors import DataError, StageError
from datagen.filters.form import form
from datagen.filters.keywords import keywords
from datagen.filters.length import length
from datagen.filters.repetition import repetition
from datagen.plugins import load_stage, stage_names
from datagen.record import Record, decode, encode, instruction, read_records
from datagen.sources.jsonl import in_blocks, jsonl
from datagen.stage import EachAlone
from datagen.store import Result, read_result
from datagen.workers import judged

FILTERS: dict[str, dict[str, Any]] = {
    "length": {"min_words": 3},
    "keywords": {"drop": ("image",)},
    "repetition": {},
    "form": {},
}
PARENT, DONE = "DATAGEN_TEST_PARENT", "DATAGEN_TEST_DONE"


def data(folder: Path, *, rows: int = 200) -> Path:
    answers = ["Red.", "so it is and " * 30, "Here it comes:", "", "Grün, 绿, \u2028 and 😀."]
    tasks = ["Name a colour", "Go", "Draw an image of", "Say which"]
    lines = [
        json.dumps({"instruction": f"{tasks[n % 4]} {n}", "input": "", "output": answers[n % 5], "split": "ab"[n % 2]})
        for n in range(rows)
    ]
    lines[7], lines[90] = "{broken", "\ufeff   "
    path = folder / "rows.jsonl"
    path.write_text("\n".join(lines) + "\n")
    return path


def pipeline(path: Path, **changed: Any) -> dict[str, Any]:
    stages: dict[str, Any] = {"data": {"use": "sources.jsonl", "path": str(path)}}
    stages |= {name: {"use": f"filters.{name}", **settings} for name, settings in FILTERS.items()}
    return {"name": "p", "stages": {**stages, **changed}}


def left(outcome: datagen.Outcome) -> dict[str, Any]:
    """The bytes that each stage left, and what it says of itself but for the time."""

    def told(result: Result) -> dict[str, Any]:
        timed = ("seconds", "peak_memory_mb", "finished")
        return {key: value for key, value in vars(result).items() if key not in timed}

    return {
        name: [
            *((folder / file).read_bytes() for file in ("rows.jsonl", "dropped.jsonl")),
            sorted(path.name for path in folder.iterdir()),
            told(read_result(folder)),
        ]
        for name, folder in outcome.folders.items()
    }


def test_one_pass_leaves_what_the_stages_leave_one_by_one(tmp_path: Path) -> None:
    document = pipeline(data(tmp_path))
    together = left(datagen.run(document, root=tmp_path / "together"))
    for name in document["stages"]:
        alone = left(datagen.run(document, root=tmp_path / "alone", until=name))
    assert together == alone
    assert together["data"][3]["parts"] == {"a": 99, "b": 99}
    reasons = {name: stage[3]["reasons"] for name, stage in together.items()}
    assert reasons["data"] == {"jsonl:malformed": 1}
    assert all(reasons.values())
    for result in (stage[3] for name, stage in together.items() if name != "data"):
        assert result["read"] == result["kept"] + result["dropped"]


def test_one_pass_gives_the_rows_that_the_functions_give(tmp_path: Path) -> None:
    path = data(tmp_path)
    outcome = datagen.run(pipeline(path), root=tmp_path / "runs")
    rows: Iterable[Record] = jsonl(path=path)
    functions: dict[str, Any] = {"length": length, "keywords": keywords, "repetition": repetition, "form": form}
    for name, function in functions.items():
        made = list(function((row for row in rows if row.dropped is None), **FILTERS[name]))
        rows = made
        folder = outcome.folders[name]
        assert (folder / "rows.jsonl").read_bytes() == b"".join(encode(r) + b"\n" for r in made if not r.dropped)
        assert (folder / "dropped.jsonl").read_bytes() == b"".join(encode(r) + b"\n" for r in made if r.dropped)


def test_a_run_that_was_killed_in_the_middle_of_a_pass_ends_in_the_same_bytes(tmp_path: Path) -> None:
    document = pipeline(data(tmp_path))
    outcome = datagen.run(document, root=tmp_path)
    whole = left(outcome)
    for name in ("keywords", "repetition"):
        folder = outcome.folders[name]
        (folder / "stage.json").unlink()
        (folder / "rows.jsonl").write_bytes((folder / "rows.jsonl").read_bytes()[:500])
    assert left(datagen.run(document, root=tmp_path)) == whole


def test_malformed_lines_are_named_with_their_numbers(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    path = data(tmp_path)
    with caplog.at_level(logging.WARNING, "datagen"):
        outcome = datagen.run(pipeline(path), root=tmp_path / "runs")
    assert len(caplog.messages) == 1
    assert caplog.messages[0].startswith(f"{path}, row 8: ")
    (dropped,) = read_records(outcome.folders["data"] / "dropped.jsonl")
    assert dropped.dropped is not None
    assert dropped.dropped.evidence["line"] == 8


def test_a_filter_that_keeps_nothing_ends_the_pass_and_those_before_it_are_done(tmp_path: Path) -> None:
    document = pipeline(data(tmp_path), keywords={"use": "filters.keywords", "drop": ["name", "draw", "say"]})
    with pytest.raises(StageError, match=r"keywords \(filters.keywords\) kept none of \d+ rows, most often keywords:"):
        datagen.run(document, root=tmp_path)
    done = {path.parent.name.partition("-")[0] for path in tmp_path.glob("p/*/stage.json")}
    assert done == {"data", "length"}


def test_a_filter_that_keeps_nothing_says_the_first_error(tmp_path: Path) -> None:
    document = pipeline(data(tmp_path), length={"use": "filters.json_valid"})
    with pytest.raises(StageError, match=r"most often json_valid:\w+ \(\d+\): .+; see "):
        datagen.run(document, root=tmp_path)


def test_a_damaged_row_of_a_stage_above_is_one_clear_error(tmp_path: Path) -> None:
    document = pipeline(data(tmp_path))
    made = datagen.run(document, root=tmp_path, until="length")
    with (made.folders["length"] / "rows.jsonl").open("ab") as file:
        file.write(b'{"prompt": [{"ro\n')
    with pytest.raises(DataError, match=r"length-\w+/rows\.jsonl, line \d+: .*move its folder away"):
        datagen.run(document, root=tmp_path)


def broken(records: Iterable[Record]) -> EachAlone:
    for record in records:
        if record.instruction == "Say 3":
            raise ZeroDivisionError("a bug")
        yield record


def reads_ahead(records: Iterable[Record]) -> EachAlone:
    yield from list(itertools.islice(records, 3))


def loses(records: Iterable[Record]) -> EachAlone:
    return (record for record in records if record.instruction != "Say 3")


def renamed(records: Iterable[Record], *, to: str) -> EachAlone:
    for record in records:
        changed = record.labelled(name=to, split=record.instruction[-1])
        yield changed.drop("renamed:odd") if record.instruction.endswith("1") else changed


def dies_elsewhere(records: Iterable[Record]) -> EachAlone:
    for record in records:
        if os.environ[PARENT] != str(os.getpid()):
            os._exit(1)
        yield record


def slow_elsewhere(records: Iterable[Record]) -> EachAlone:
    for record in records:
        if os.environ[PARENT] != str(os.getpid()) and record.instruction != "Say 4":
            time.sleep(2)
            Path(os.environ[DONE]).touch()
        yield record


def says(numbers: Iterable[int]) -> list[Record]:
    return [instruction(f"Say {number}", "x") for number in numbers]


def blocks() -> list[list[int]]:
    return [list(range(at, at + 4)) for at in range(0, 40, 4)]


def course(*filters: Filter) -> Course:
    return Course(says, filters, makes_rows=True)


def untimed(verdicts: Iterable[list[Verdict]]) -> list[list[Verdict]]:
    return [[verdict._replace(seconds=0.0) for verdict in of_block] for of_block in verdicts]


def test_an_error_in_a_filter_names_the_stage_and_the_row() -> None:
    judge = judge_of(course(Filter("first", length, {}), Filter("bad", broken, {})))
    with pytest.raises(ZeroDivisionError) as caught:
        judge(range(5))
    assert caught.value.__notes__ == [
        f"in stage bad, on row {instruction('Say 3', 'x').id}; nothing that was paid for is lost"
    ]


@pytest.mark.parametrize("function", [reads_ahead, loses])
def test_a_filter_that_does_not_judge_each_row_alone_is_found_out(function: Any) -> None:
    judge = judge_of(course(Filter("bad", function, {})))
    with pytest.raises((AssertionError, IndexError)) as caught:
        list(map(judge, blocks()))
    assert "in stage bad" in caught.value.__notes__[0]


def test_a_changed_row_is_written_as_it_became() -> None:
    made, verdict = judge_of(course(Filter("renamed", renamed, {"to": "x"})))(range(3))
    assert (verdict.read, verdict.kept, verdict.reasons, verdict.parts) == (3, 2, {"renamed:odd": 1}, {"0": 1, "2": 1})
    assert made.lines == b"\n".join(map(encode, says(range(3))))
    assert verdict.lines is not None
    assert [decode(line).labels["name"] for line in verdict.lines.split(b"\n")] == ["x", "x"]


@pytest.mark.parametrize("processes", [1, 2])
def test_other_processes_give_the_same_verdicts_in_the_same_order(processes: int) -> None:
    given = course(Filter("length", length, {"max_chars": 5}), Filter("renamed", renamed, {"to": "y"}))
    judge, peaks = judge_of(given), dict[int, int]()
    found = list(judged(given, iter(blocks()), peaks, alone=1, processes=processes))
    assert [block for block, _ in found] == blocks()
    assert untimed(verdicts for _, verdicts in found) == untimed(map(judge, blocks()))
    assert bool(peaks) == (processes > 1)
    assert os.getpid() not in peaks


def test_what_another_process_cannot_do_is_done_here(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(PARENT, str(os.getpid()))
    given = course(Filter("dies", dies_elsewhere, {}))
    found = list(judged(given, iter(blocks()), peaks := {}, alone=1, processes=2))
    assert untimed(verdicts for _, verdicts in found) == untimed(map(judge_of(given), blocks()))
    assert not peaks


def test_an_error_in_another_process_comes_from_this_one() -> None:
    given = course(Filter("bad", broken, {}))
    with pytest.raises(ZeroDivisionError, match="a bug") as caught:
        list(judged(given, iter([[1], [2], [3], [4]]), {}, alone=1, processes=2))
    assert "in stage bad" in caught.value.__notes__[0]


def test_who_stops_early_does_not_wait_for_what_other_processes_are_at(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setenv(PARENT, str(os.getpid()))
    monkeypatch.setenv(DONE, str(tmp_path / "done"))
    given = course(Filter("slow", slow_elsewhere, {}))
    found = judged(given, iter([[0], [4], *([n] for n in range(10, 20))]), {}, alone=1, processes=2)
    assert [block for block, _ in itertools.islice(found, 2)] == [[0], [4]]
    found.close()
    assert not (tmp_path / "done").exists()


def test_a_filter_that_cannot_leave_this_process_stays_in_it() -> None:
    def local(records: Iterable[Record]) -> EachAlone:
        yield from records

    given = course(Filter("local", local, {}))
    found = list(judged(given, iter(blocks()), peaks := {}, alone=1, processes=2))
    assert sum(verdicts[1].kept for _, verdicts in found) == 40
    assert not peaks


@pytest.mark.parametrize("name", [name for name in stage_names() if load_stage(name).judges_each_alone])
def test_blocks_of_one_row_or_of_all_make_no_difference(name: str, tmp_path: Path) -> None:
    stage = load_stage(name)
    needed = {"filters.keywords": {"drop": ("image",)}, "filters.rules": {"also": (datagen_rule(),)}}
    given = Course(says, (Filter(name, stage.function, needed.get(name, {})),), makes_rows=False)
    one_by_one, at_once = judge_of(given), judge_of(given)
    singly = [one_by_one([number])[0] for number in range(30)]
    (whole,) = at_once(list(range(30)))
    assert [line for verdict in singly for line in verdict.dropped] == whole.dropped
    assert sum(verdict.kept for verdict in singly) == whole.kept


def datagen_rule() -> Any:
    from datagen.text.rules import Length

    return Length(max_chars=5)


def test_only_whole_files_of_lines_are_read_in_blocks(tmp_path: Path) -> None:
    path = data(tmp_path)
    array = tmp_path / "rows.json"
    array.write_text("[{}]")
    arguments: dict[str, Any] = {"path": path, "format": "auto", "limit": None}
    assert in_blocks(arguments) is not None
    assert in_blocks({**arguments, "limit": 3}) is None
    assert in_blocks({**arguments, "path": array}) is None
    assert in_blocks({**arguments, "format": "messages"}) is None  # no first row is one: the source itself says so
