from __future__ import annotations

import asyncio
import os
import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import datagen
from datagen import config, runner
from datagen.errors import ConfigError, StageError
from datagen.preview import preview
from datagen.record import read_records
from datagen.runner import Outcome

Run = Callable[..., Outcome]


def files(outcome: Outcome) -> dict[str, bytes]:
    """The data files of a run by stage."""
    paths = {f"{s}/{path.name}": path for s, folder in outcome.folders.items() for path in folder.glob("*.jsonl")}
    return {name: path.read_bytes() for name, path in paths.items()}


def requests(tmp_path: Path) -> int:
    path = tmp_path / "requests"
    return len(path.read_bytes().splitlines()) if path.exists() else 0


def test_all_shapes_run_in_order_and_say_what_they_did(tmp_path: Path, run_toy: Run) -> None:
    results = run_toy(n=20).results
    assert list(results) == ["seeds", "answers", "fewer", "graded"]
    assert (results["seeds"].read, results["seeds"].kept) == (0, 20)
    assert (results["answers"].read, results["answers"].kept, results["answers"].calls) == (20, 20, 20)
    assert (results["fewer"].read, results["fewer"].kept, results["fewer"].dropped) == (20, 15, 5)
    assert results["fewer"].reasons == {"every:kth": 5}
    graded = results["graded"]
    assert graded.read == graded.kept + graded.dropped == graded.calls == 15
    assert graded.reasons == {"grade:low_score": graded.dropped}
    assert (results["answers"].prompt_tokens, results["answers"].completion_tokens) == (20, 20)
    assert requests(tmp_path) == 35


def test_rows_stay_in_input_order_whatever_takes_long(run_toy: Run) -> None:
    folder = run_toy(n=60, latency_s=0.003).folders["answers"]
    assert [r.instruction for r in read_records(folder / "rows.jsonl")] == [f"Say {n}" for n in range(60)]


def test_no_more_requests_are_under_way_than_the_back_end_takes(tmp_path: Path, run_toy: Run) -> None:
    run_toy(n=60, latency_s=0.003)
    busy = [int(line.split()[1]) for line in (tmp_path / "requests").read_text().splitlines()]
    assert max(busy) == 4


def test_lineage_leads_back_to_the_seed(run_toy: Run) -> None:
    folders = run_toy().folders
    seeds = {record.id for record in read_records(folders["seeds"] / "rows.jsonl")}
    assert all(set(record.parents) <= seeds for record in read_records(folders["graded"] / "rows.jsonl"))


def test_a_finished_run_is_not_done_again(tmp_path: Path, run_toy: Run) -> None:
    first = run_toy()
    before = {path: path.stat().st_mtime_ns for path in first.folder.rglob("*.jsonl")}
    second = run_toy()
    assert second == first
    assert {path: path.stat().st_mtime_ns for path in second.folder.rglob("*.jsonl")} == before
    assert requests(tmp_path) == 35


def test_a_changed_threshold_runs_only_what_is_downstream_and_pays_nothing(tmp_path: Path, run_toy: Run) -> None:
    first = run_toy()
    second = run_toy({"stages.graded.at_least": 3})
    assert {n: f for n, f in second.folders.items() if f != first.folders[n]}.keys() == {"graded"}
    assert (second.results["graded"].calls, second.results["graded"].replayed) == (0, 15)
    assert requests(tmp_path) == 35


def test_the_same_seed_gives_the_same_bytes_and_another_seed_others(run_toy: Run) -> None:
    first, again, other = run_toy(root="one"), run_toy(root="two"), run_toy(root="three", seed=1)
    assert files(again) == files(first)
    assert files(other)["seeds/rows.jsonl"] == files(first)["seeds/rows.jsonl"]
    assert files(other)["answers/rows.jsonl"] != files(first)["answers/rows.jsonl"]


def test_a_request_that_fails_for_good_drops_its_record_with_the_typed_reason(run_toy: Run) -> None:
    outcome = run_toy({"llms.teacher.fail": "Say 7"})
    assert outcome.results["answers"].reasons == {"answer:refused": 1}
    (dropped,) = read_records(outcome.folders["answers"] / "dropped.jsonl")
    assert dropped.instruction == "Say 7"
    assert dropped.dropped is not None
    assert dropped.dropped.evidence == {"error": "the server would not", "attempts": 3}


def test_an_empty_result_is_one_clear_line_and_is_not_taken_for_finished(run_toy: Run) -> None:
    with pytest.raises(
        StageError, match=r"fewer \(toy:every\) kept none of 20 rows, most often every:kth \(20\); see "
    ):
        run_toy({"stages.fewer.k": 1})
    assert run_toy().results["fewer"].kept == 15


@pytest.mark.parametrize("budget", [{"calls": 30}, {"tokens": 4210}, {"usd": 4.21}])
def test_a_run_stops_before_its_budget_is_crossed_and_goes_on_when_it_is_raised(
    tmp_path: Path, run_toy: Run, budget: dict[str, float]
) -> None:
    costs = {"llms.teacher.price": {"input": 1000, "output": 1000}}
    undisturbed = files(run_toy({"llms.teacher.log": ""}, root="other"))
    for _ in range(2):
        with pytest.raises(ConfigError, match=r"budget .*: spent \$0\.\d+, \d+ tokens, \d\d calls"):
            run_toy({**costs, "budget": budget})
    assert 10 < requests(tmp_path) <= 30
    done = run_toy({**costs, "budget.calls": 35})
    assert (requests(tmp_path), done.results["graded"].usd > 0) == (35, True)
    assert {name.partition("-")[0]: data for name, data in files(done).items()} == undisturbed


def test_a_source_without_rows_is_one_clear_line(run_toy: Run) -> None:
    with pytest.raises(StageError, match=r"seeds \(toy:numbers\) made no rows"):
        run_toy({"stages.seeds.n": 0})


def test_until_stops_early_and_the_next_run_goes_on(tmp_path: Path) -> None:
    import toy

    document = toy.pipeline(log=str(tmp_path / "requests"))
    assert list(datagen.run(document, root=tmp_path / "runs", until="answers").results) == ["seeds", "answers"]
    assert requests(tmp_path) == 20
    datagen.run(document, root=tmp_path / "runs")
    assert requests(tmp_path) == 35


def test_jobs_get_files_and_leave_a_model_that_later_stages_name(tmp_path: Path) -> None:
    document = {
        "name": "jobs",
        "llms": {"t": {"use": "toy:backend"}},
        "stages": {
            "a": {"use": "toy:numbers"},
            "parts": {"use": "toy:halves"},
            "fit": {"use": "toy:train", "base": "some/model", "from": "parts.even"},
            "more": {"use": "toy:train", "base": "fit", "from": ["parts.odd", "a"]},
            "score": {"use": "toy:measure", "llm": "t", "from": "parts.odd", "against": "a"},
        },
    }
    outcome = datagen.run(document, root=tmp_path)
    assert outcome.results["fit"].metrics == {"rows": 5, "base": "some/model"}
    assert outcome.results["more"].metrics == {"rows": 15, "base": str((outcome.folders["fit"] / "model").resolve())}
    assert outcome.results["score"].metrics["of"] == 10
    assert (outcome.results["score"].read, outcome.results["score"].calls) == (5, 5)
    assert datagen.run(document, root=tmp_path) == outcome


def test_a_stage_of_several_sources_sees_them_by_name_and_its_reading_is_counted(tmp_path: Path) -> None:
    stages = {
        "a": {"use": "toy:numbers", "n": 3},
        "b": {"use": "toy:every", "k": 3},
        "m": {"use": "toy:blend", "from": {"a": 0.25, "b": 0.75}},
    }
    outcome = datagen.run({"name": "many", "stages": stages}, root=tmp_path)
    labels = [r.labels for r in read_records(outcome.folders["m"] / "rows.jsonl")]
    assert labels == [{"mixture": "a", "share": 0.25}] * 3 + [{"mixture": "b", "share": 0.75}] * 2
    assert outcome.results["m"].read == 5


def test_rounds_ask_the_model_of_the_round_before(tmp_path: Path) -> None:
    inner = {
        "answers": {"use": "toy:answer", "llm": "t", "from": "a"},
        "fit": {"use": "toy:train", "base": "fit"},
    }
    document = {
        "name": "rounds",
        "llms": {"t": {"use": "toy:backend"}},
        "stages": {"a": {"use": "toy:numbers"}, "r": {"repeat": 3, "first": {"fit": "some/model"}, "stages": inner}},
    }
    results = datagen.run(document, root=tmp_path).results
    assert results["fit@1"].metrics["base"] == "some/model"
    assert "fit@2-" in results["fit@3"].metrics["base"]


def test_a_part_that_no_row_has_is_an_error_that_names_those_there_are(tmp_path: Path) -> None:
    stages = {
        "a": {"use": "toy:numbers"},
        "h": {"use": "toy:halves"},
        "b": {"use": "toy:every", "from": "h.eve"},
    }
    with pytest.raises(ConfigError, match="h has no such part; it has: even, odd"):
        datagen.run({"name": "parts", "stages": stages}, root=tmp_path)


@pytest.mark.parametrize(
    ("stage", "notes"),
    [
        ({"use": "toy:broken"}, [r"in stage bad \(toy:broken\), after row 3 \(\w{32}\); nothing that was paid"]),
        (
            {"use": "toy:broken_record", "llm": "teacher"},
            ["worked on record .*'Say 3'", r"in stage bad \(toy:broken_r"],
        ),
    ],
)
def test_a_bug_in_a_stage_shows_stage_and_record_and_loses_nothing(
    run_toy: Run, tmp_path: Path, stage: dict[str, Any], notes: list[str]
) -> None:
    with pytest.raises(ZeroDivisionError, match="a bug") as caught:
        run_toy({"stages.bad": {**stage, "from": "seeds"}})
    assert len(caught.value.__notes__) == len(notes)
    for note, wanted in zip(caught.value.__notes__, notes, strict=True):
        assert re.search(wanted, note)
    paid = requests(tmp_path)
    assert paid >= 35
    run_toy()
    assert requests(tmp_path) == paid


def test_an_error_in_the_middle_leaves_no_task_and_no_open_file(run_toy: Run) -> None:
    with pytest.raises(ZeroDivisionError):  # ResourceWarnings and pending tasks would be errors here
        run_toy({"stages.bad": {"use": "toy:broken_record", "llm": "teacher", "from": "seeds"}}, latency_s=0.02)


def test_it_runs_inside_a_running_event_loop(run_toy: Run) -> None:
    async def notebook() -> Outcome:
        await asyncio.sleep(0)
        return run_toy()

    assert asyncio.run(notebook()).results["graded"].read == 15


async def test_errors_come_through_from_inside_a_running_event_loop(run_toy: Run) -> None:
    with pytest.raises(StageError, match="made no rows"):
        run_toy({"stages.seeds.n": 0})


def test_check_says_what_would_be_skipped(run_toy: Run, tmp_path: Path) -> None:
    import toy

    pipeline = config.build(toy.pipeline(log=""))
    assert set(runner.check(pipeline, tmp_path / "runs").values()) == {False}
    run_toy()
    done = runner.check(config.build(toy.pipeline(log=str(tmp_path / "requests"))), tmp_path / "runs")
    assert set(done.values()) == {True}


def test_a_preview_is_small_and_leaves_out_what_needs_training() -> None:
    stages = {
        "a": {"use": "toy:numbers"},
        "answers": {"use": "toy:answer", "llm": "teacher"},
        "fit": {"use": "toy:train", "base": "some/model"},
        "again": {"use": "toy:answer", "llm": "fit", "from": "a"},
        "last": {"use": "toy:every", "from": ["answers", "again"]},
        "fewer": {"use": "toy:every", "from": "answers"},
    }
    pipeline = config.build({"name": "x", "llms": {"teacher": {"use": "toy:backend"}}, "stages": stages})
    few = preview(pipeline, 3)
    assert few.name == "x-preview"
    assert [node.name for node in few.nodes] == ["a", "answers", "fewer"]
    assert few.nodes[0].arguments["limit"] == 3


_MEMORY = """
import resource, sys, datagen
stages = {"a": {"use": "toy:numbers", "n": int(sys.argv[1])}, "b": {"use": "toy:every"}, "c": {"use": "toy:every"}}
stages["d"] = {"use": "toy:answer", "llm": "t"}
datagen.run({"name": "flat", "llms": {"t": {"use": "toy:backend"}}, "stages": stages}, root=sys.argv[2])
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024)
"""


@pytest.mark.slow
def test_memory_is_flat_in_the_number_of_records(tmp_path: Path) -> None:
    def peak(n: int) -> int:
        command = [sys.executable, "-c", _MEMORY, str(n), str(tmp_path / str(n))]
        environment = {**os.environ, "PYTHONPATH": str(Path(__file__).parent.parent)}
        return int(subprocess.run(command, check=True, capture_output=True, text=True, env=environment).stdout)

    assert peak(100_000) - peak(2_000) < 15


@pytest.mark.parametrize("use", ["openai", "openai_batch"])
def test_a_missing_key_is_told_before_the_first_stage(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, use: str
) -> None:
    monkeypatch.delenv("OPENAI_API_KEY", raising=False)
    (tmp_path / "rows.jsonl").write_text('{"prompt": "Name a colour."}\n')
    stages = {
        "rows": {"use": "sources.jsonl", "path": str(tmp_path / "rows.jsonl")},
        "answers": {"use": "generators.answer", "llm": "big"},
    }
    pipeline = {"name": "p", "llms": {"big": {"use": use, "model": "gpt-5"}}, "stages": stages}
    with pytest.raises(ConfigError, match=r"^llms\.big: .*set the environment variable OPENAI_API_KEY"):
        datagen.run(pipeline, root=tmp_path / "runs")
    assert not list((tmp_path / "runs").rglob("rows.jsonl"))
    assert datagen.run(pipeline, root=tmp_path / "runs", until="rows").results["rows"].kept == 1
