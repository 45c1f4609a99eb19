from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import toy
import yaml

from datagen import config, runner
from datagen.cli import main
from datagen.errors import ConfigError, StageError
from datagen.estimate import Estimate, estimate
from datagen.llm.journal_tools import spending
from datagen.preview import preview


def estimates(
    tmp_path: Path, overrides: dict[str, Any] | None = None, n: int = 10, **settings: Any
) -> dict[str, Estimate]:
    pipeline = config.build(toy.pipeline(log=str(tmp_path / "requests"), **settings), overrides)
    return {one.stage: one for one in estimate(pipeline, n, root=tmp_path / "runs")}


def test_calls_tokens_and_money_grow_with_the_rows(tmp_path: Path) -> None:
    price = {"input": 1000, "output": 2000}
    found = estimates(tmp_path, {"llms.teacher.price": price, "stages.seeds.n": 1000})
    assert (found["seeds"].rows, found["seeds"].calls) == (1000, 0)
    answers = found["answers"]
    assert (answers.rows, answers.calls, answers.prompt_tokens, answers.completion_tokens) == (1000, 1000, 1000, 1000)
    assert answers.usd == pytest.approx(3.0)
    assert found["fewer"].rows == pytest.approx(700)  # 7 of 10: each fourth row is dropped, beginning with the first
    assert found["graded"].calls == pytest.approx(700)


def test_the_range_comes_from_the_rows_kept_above(tmp_path: Path) -> None:
    found = estimates(tmp_path, {"stages.seeds.n": 1000})
    assert found["answers"].spread == 0  # every toy reply is one token
    assert found["graded"].spread == pytest.approx(2 * (3 / 7 / 10) ** 0.5)
    assert estimates(tmp_path, {"stages.seeds.n": 1000}, n=40)["graded"].spread < found["graded"].spread


def test_what_an_estimate_asked_is_not_paid_for_again_and_leaves_nothing_behind(tmp_path: Path) -> None:
    estimates(tmp_path)
    asked = (tmp_path / "requests").read_text().splitlines()
    assert len(asked) == 17
    assert [path.name for path in (tmp_path / "runs").iterdir() if path.is_dir()] == []
    again = estimates(tmp_path)
    assert (tmp_path / "requests").read_text().splitlines() == asked
    assert again["answers"].prompt_tokens == 20
    assert (again["answers"].seconds, again["seeds"].seconds) == (None, None)


def test_of_a_stage_that_was_split_only_the_part_counts_that_is_read(tmp_path: Path) -> None:
    document = toy.pipeline(log="", n=1000)
    document["stages"] = {
        "seeds": {"use": "toy:numbers", "n": 1000},
        "parts": {"use": "mixtures.split", "test": 0.2, "threshold": None},
        "answers": {"use": "toy:answer", "llm": "teacher", "from": "parts.test"},
    }
    found = {one.stage: one for one in estimate(config.build(document), 100, root=tmp_path)}
    assert found["parts"].rows == 1000
    assert found["answers"].calls == pytest.approx(200)


@pytest.mark.parametrize(
    ("settings", "rows"),
    [({"size": 300}, 300), ({"counts": {"seeds": 250}}, 250), ({"counts": {"seeds": "all"}}, 1000), ({}, 1000)],
)
def test_a_mixture_makes_the_rows_that_it_is_asked_for(tmp_path: Path, settings: dict[str, Any], rows: int) -> None:
    document = toy.pipeline(log="", n=1000)
    document["stages"] = {
        "seeds": {"use": "toy:numbers", "n": 1000},
        "mixed": {"use": "mixtures.blend", "from": ["seeds"], **settings},
        "answers": {"use": "toy:answer", "llm": "teacher"},
    }
    found = {one.stage: one for one in estimate(config.build(document), 10, root=tmp_path / "runs")}
    assert (found["mixed"].rows, found["answers"].calls) == (rows, rows)


def test_a_stage_of_several_llms_costs_what_each_of_them_was_asked(tmp_path: Path) -> None:
    price = {"input": 1000, "output": 2000}
    both = {
        "llms.teacher.price": price,
        "llms.free": {"use": "toy:backend", "price": {"input": 0, "output": 0}},
        "llms.team": {"use": "fallback", "of": ["teacher", "free"]},
        "stages.answers.llm": "team",
    }
    assert estimates(tmp_path, both)["answers"].usd == pytest.approx(20 * 0.003)
    assert estimates(tmp_path, both)["answers"].usd == pytest.approx(20 * 0.003)  # the journal's are not free
    assert estimates(tmp_path, {**both, "llms.free.price": None})["answers"].usd is None


def test_what_an_estimate_and_a_preview_spend_is_of_the_pipelines_own_budget(tmp_path: Path) -> None:
    estimates(tmp_path)
    pipeline = config.build(toy.pipeline(log=str(tmp_path / "requests")), {"seed": 1, "budget": {"calls": 20}})
    with pytest.raises(ConfigError, match=r"spent .* 20 calls"):
        runner.run(preview(pipeline, 10), root=tmp_path / "runs")
    assert {run for run, *_ in spending(tmp_path / "runs" / "journal.sqlite")} == {pipeline.name}


def test_time_is_that_of_the_calls_over_what_goes_at_once(tmp_path: Path) -> None:
    found = estimates(tmp_path, {"stages.seeds.n": 1000}, latency_s=0.01, n=4)
    assert 1000 * 0.001 / 4 < (found["answers"].seconds or 0) < 1000 * 0.5 / 4


def test_a_filter_that_keeps_nothing_of_the_sample_says_so(tmp_path: Path) -> None:
    with pytest.raises(StageError, match="kept none of 10 rows"):
        estimates(tmp_path, {"stages.fewer.k": 1})


def test_a_run_of_any_name_survives_an_estimate(tmp_path: Path) -> None:
    runner.run(config.build(toy.pipeline(log="", name="toy-estimate")), root=tmp_path / "runs")
    before = sorted((tmp_path / "runs" / "toy-estimate").rglob("*"))
    estimates(tmp_path)
    assert sorted((tmp_path / "runs" / "toy-estimate").rglob("*")) == before
    assert sorted(path.name for path in (tmp_path / "runs").iterdir() if path.is_dir()) == ["toy-estimate"]


def test_an_estimate_of_what_keeps_nothing_names_no_file_that_is_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("p.yaml").write_text(yaml.safe_dump(toy.pipeline(log=""), sort_keys=False))
    assert main(["estimate", "p.yaml", "-n", "5", "-q", "stages.fewer.k=1"]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.endswith("every:kth (5) (of the 5 records of the estimate; datagen preview shows them)")


def test_the_command_shows_stages_their_sum_and_what_is_left_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    document = toy.pipeline(log="", n=500)
    document["stages"]["fit"] = {"use": "toy:train", "base": "some/model"}
    Path("p.yaml").write_text(yaml.safe_dump(document, sort_keys=False))
    assert main(["estimate", "p.yaml", "-n", "20", "-q"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert lines[2][:5] == ["answers", "500", "500", "500", "500"]
    assert lines[5][:2] == ["all", "875"]
    assert ["not", "in", "it:", "fit"] in lines
    assert any(line[:3] == ["USD:", "add", "price:"] for line in lines)
