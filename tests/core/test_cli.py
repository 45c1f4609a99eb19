from __future__ import annotations

import json
import re
import resource
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
import toy
import yaml

import datagen
from datagen.cli import main
from datagen.record import Record, encode, instruction, read_records


@pytest.fixture(autouse=True)
def _here(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)


@pytest.fixture
def file(tmp_path: Path) -> str:
    (tmp_path / "toy.yaml").write_text(yaml.safe_dump(toy.pipeline(log=str(tmp_path / "requests")), sort_keys=False))
    return "toy.yaml"


@pytest.fixture
def data(tmp_path: Path) -> str:
    rows = [{"instruction": f"Count to {n}.", "input": "", "output": "one two three"[: 4 * n]} for n in range(1, 5)]
    (tmp_path / "data.json").write_text(json.dumps([*rows, rows[0]]))
    return "data.json"


def error_line(capsys: pytest.CaptureFixture[str]) -> str:
    lines = capsys.readouterr().err.splitlines()
    said = [line for line in lines if line.startswith("datagen: ")]
    assert len(said) == 1, lines
    assert "Traceback" not in "".join(lines)
    return said[0]


def rows(path: str) -> list[Record]:
    return list(read_records(Path(path)))


def test_run_shows_the_funnel_some_rows_and_where_everything_lies(
    file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", file, "stages.seeds.n=12", "-q"]) == 0
    out = capsys.readouterr().out
    for wanted in ("stage", "seeds", "graded", "kth 3", "5 rows of graded", "Everything is in runs/toy/"):
        assert wanted in out


def test_progress_is_a_line_per_stage_and_says_what_was_done_before(
    file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["run", file]) == 0
    first = capsys.readouterr().err.splitlines()
    assert [line.split()[:2] for line in first] == [["✓", n] for n in ("seeds", "answers", "fewer", "graded")]
    assert "15 kept, 5 dropped (kth 5)" in first[2]
    assert main(["run", file]) == 0
    assert all(line.startswith("=") and "done before" in line for line in capsys.readouterr().err.splitlines())


def test_the_json_log_is_json(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", file, "--json-log"]) == 0
    events = [json.loads(line) for line in capsys.readouterr().err.splitlines()]
    assert [(event["event"], event["stage"]) for event in events][-1] == ("finished", "graded")


def test_check_shows_the_plan_and_does_nothing(file: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", file]) == 0
    out = capsys.readouterr().out
    assert "4 stages, all names, keys and files check out" in out
    assert "from answers" in out
    assert [path.name for path in tmp_path.iterdir()] == [file]
    main(["run", file, "-q"])
    capsys.readouterr()
    main(["check", file])
    assert capsys.readouterr().out.count("done before") == 4


def test_preview_runs_a_few_records_beside_the_real_run(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["preview", file, "-n", "3", "-q"]) == 0
    out = capsys.readouterr().out
    assert "graded (toy:grade)" in out
    assert "dropped every:kth  at=0" in out
    assert len(list(Path("runs/toy-preview").glob("seeds-*/rows.jsonl"))) == 1
    assert not Path("runs/toy").exists()


def test_a_preview_shows_what_there_is_when_a_filter_keeps_nothing(
    file: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(["preview", file, "stages.fewer.k=1", "-q"]) == 1
    captured = capsys.readouterr()
    assert "dropped every:kth  at=2" in captured.out
    assert "kept none of 3 rows" in captured.err


def test_show_shows_a_run_that_lies_there_finished_or_not(file: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["run", file, "--until", "answers", "-q"]) == 0
    capsys.readouterr()
    assert main(["show", "toy", "-n", "2"]) == 0
    out = capsys.readouterr().out
    assert "2 rows of answers" in out
    assert "not finished: fewer, graded" in out
    assert main(["show", "--stage", "seeds"]) == 0
    assert "5 rows of seeds" in capsys.readouterr().out
    assert main(["show", "runs/toy", "--stage", "sedes"]) == 2
    assert "no finished stage 'sedes'; there are: seeds, answers" in error_line(capsys)


@pytest.mark.parametrize("run", [[], ["toy"]])
def test_show_without_any_run_says_so(run: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["show", *run]) == 2
    assert "no run" in error_line(capsys)


def test_list_shows_all_stages_and_one_stages_arguments(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["list"]) == 0
    lines = capsys.readouterr().out.splitlines()
    assert any(line.startswith("filters.length ") for line in lines)
    assert len({re.match(r"\S+ +", line).end() for line in lines}) == 1  # type: ignore[union-attr]
    assert main(["list", "self_instruct"]) == 0
    out = capsys.readouterr().out
    assert "count                int                      required" in out
    assert "\n  rng " not in out
    assert "Stops early, and says so, after ``max_idle_rounds``" in out
    assert main(["list", "lenght"]) == 2
    assert "did you mean 'filters.length'" in error_line(capsys)


def test_filter_takes_any_format_and_rows_in_are_kept_and_dropped(
    data: str, capsys: pytest.CaptureFixture[str]
) -> None:
    uses = ["--use", "length of=answer min_words=2", "--use", "dedup_exact"]
    assert main(["filter", data, *uses, "-o", "out/clean.jsonl", "-q"]) == 0
    kept, dropped = rows("out/clean.jsonl"), rows("out/clean.dropped.jsonl")
    assert len(kept) + len(dropped) == 5
    assert [r.dropped.reason for r in dropped if r.dropped] == ["length:too_short"] * 2
    assert "wrote 3 rows to out/clean.jsonl (records)" in capsys.readouterr().out


def test_the_same_filter_can_be_used_twice(data: str) -> None:
    uses = ["--use", "length of=answer min_words=1", "--use", "length of=answer max_words=2"]
    assert main(["filter", data, *uses, "-o", "clean.jsonl", "-q"]) == 0
    assert [record.answer for record in rows("clean.jsonl")] == ["one ", "one two ", "one "]


def test_mix_takes_files_with_shares_and_settings(data: str) -> None:
    Path("b.jsonl").write_bytes(b"".join(encode(instruction(f"b {n}", "x")) + b"\n" for n in range(10)))
    assert main(["mix", f"{data}=0.25", "b.jsonl=0.75", "size=8", "-o", "mixed.jsonl", "-q"]) == 0
    sources = [record.labels["mixture"] for record in rows("mixed.jsonl")]
    assert (sources.count("data"), sources.count("b")) == (2, 6)


def test_generate_asks_an_llm_that_is_given_on_the_command_line(data: str) -> None:
    llm = "teacher={use: 'toy:backend'}"
    assert main(["generate", "answer", data, "llm=teacher", "--llm", llm, "-o", "answers.jsonl", "-q"]) == 0
    assert [len(record.answers) for record in rows("answers.jsonl")] == [1] * 5


def test_evaluate_and_train_are_the_same_stages(data: str) -> None:
    assert main(["train", "toy:train", data, "base=some/model", "-o", "model", "-q"]) == 0
    assert Path("model/config.json").read_text().startswith("[5, ")
    llm = ["--llm", "t={use: 'toy:backend'}"]
    assert main(["evaluate", "toy:measure", data, "llm=t", *llm, "-q"]) == 0


@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["run", "none.yaml"], "no pipeline file 'none.yaml'"),
        (["run", "toy.yaml", "stages.seeds"], "is not an override"),
        (["run", "toy.yaml", "stages.sedes.n=1"], "no 'stages.sedes'; there are: seeds, answers, fewer, graded"),
        (["run", "toy.yaml", "--until", "x"], "--until: no stage 'x'"),
        (["check", "toy.yaml", "stages.seeds.n=x"], "stages.seeds: n: 'x'"),
        (["filter", "none.json", "--use", "length", "-o", "x.jsonl"], "no file 'none.json'"),
        (["filter", "data.json", "--use", "lenght", "-o", "x.jsonl"], "did you mean 'filters.length'"),
        (["filter", "data.json", "--use", "length min_word=2", "-o", "x.jsonl"], "unknown key 'min_word'"),
        (["filter", "data.json", "--use", "length 'x", "-o", "x.jsonl"], "No closing quotation"),
        (["filter", "data.json", "--use", "blend", "-o", "x.jsonl"], "mixtures.blend is no filter"),
        (["filter", "data.json", "--use", "length", "-o", "x.csv"], "must end in .jsonl"),
        (["filter", "data.json", "--use", "length min_words=x", "-o", "x.jsonl"], "'x': it takes int | None"),
        (["filter", "data.json", "--use", "length min_words", "-o", "x.jsonl"], "write key=value, such as min_words=3"),
        (["filter", "data.json", "--use", "length", "-o", "./data.json"], "is the file that is read"),
        (["filter", "data.json", "--use", "length", "-o", "data.json/x.jsonl"], "nothing can be written in"),
        (["mix", "data.json", "sise=5", "-o", "x.jsonl"], "settings: shares, counts, temperature, caps, rate_max, "),
        (["mix", "none.jsonl=0.5", "-o", "x.jsonl"], "no file 'none.jsonl'"),
        (["mix", "data.json=much", "-o", "x.jsonl"], "the share 'much' is no number"),
        (["mix", "size=5", "-o", "x.jsonl"], "name at least one file"),
        (["generate", "answer", "data.json", "llm=t", "-o", "x.jsonl"], "no LLM 't'"),
    ],
)
def test_a_users_mistake_is_one_line_and_exit_2_before_any_work(
    words: list[str], problem: str, file: str, data: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main(words) == 2
    assert problem in error_line(capsys)
    assert not Path("runs").exists()


@pytest.mark.parametrize("words", [["nonsense"], ["run"], ["filter", "x"], ["filter", "x", "--format", "y"]])
def test_wrong_usage_exits_2(words: list[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(words)


def test_settings_may_stand_among_the_options(file: str, data: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["check", file, "-q", "stages.seeds.n=3", "--root", "x", "seed=4"]) == 0
    with pytest.raises(SystemExit, match="2"):
        main(["check", file, "-q", "--rooot", "x"])
    with pytest.raises(SystemExit, match="2"):
        main(["filter", data, "--use", "length", "-o", "x.jsonl", "--more"])


def test_no_command_prints_the_help(capsys: pytest.CaptureFixture[str]) -> None:
    assert main([]) == 2
    assert "examples:" in capsys.readouterr().out


def test_a_reader_that_goes_away_is_no_error() -> None:
    command = f"{sys.executable} -m datagen.cli list | head -n 1"
    done = subprocess.run(command, shell=True, capture_output=True, text=True)
    assert (len(done.stdout.splitlines()), done.stderr) == (1, "")


def test_the_help_takes_far_less_than_a_quarter_of_a_second() -> None:
    def seconds() -> float:  # of this process's children, on the CPU: the machine may be busy
        used = resource.getrusage(resource.RUSAGE_CHILDREN)
        return used.ru_utime + used.ru_stime

    before = seconds()
    for _ in range(3):
        subprocess.run([sys.executable, "-m", "datagen.cli", "--help"], check=True, capture_output=True)
    assert (seconds() - before) / 3 < 0.25


def test_what_a_record_holds_is_shown_as_text_and_never_read_as_markup(capsys: pytest.CaptureFixture[str]) -> None:
    hostile = "[red]x[/red] [/] \x1b[31mred :smile:"
    Path("rows.jsonl").write_bytes(encode(instruction(hostile, hostile)) + b"\n")
    stages: dict[str, Any] = {"rows": {"use": "sources.jsonl", "path": "rows.jsonl"}}
    Path("p.yaml").write_text(yaml.safe_dump({"stages": stages}))
    assert main(["run", "p.yaml", "-q"]) == 0
    out = capsys.readouterr().out
    assert "[red]x[/red] [/] �[31mred :smile:" in out
    assert "\x1b" not in out


@pytest.mark.parametrize("suffix", ["jsonl", "json", "parquet"])
@pytest.mark.parametrize("shape", ["records", "messages", "alpaca"])
def test_what_is_written_in_any_format_can_be_read_again(suffix: str, shape: str, data: str) -> None:
    output = f"clean.{suffix}"
    assert main(["filter", data, "--use", "length", "-o", output, "--format", shape, "-q"]) == 0
    again = list(datagen.read(output))
    assert [(r.instruction, r.answer) for r in again] == [(r.instruction, r.answer) for r in datagen.read(data)]


def test_dotted_settings_reach_the_stage(data: str, capsys: pytest.CaptureFixture[str]) -> None:
    words = ["train", "sft", data, "base=tiny-base", "args.learning_rate=5e-4", "args.learning_rat=1", "-o", "m", "-q"]
    assert main(words) == 2
    assert "args: unknown field 'learning_rat'" in error_line(capsys)


def test_filter_takes_several_files_as_one(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    for name, words in (("a", ("red", "blue")), ("b", ("blue", "green"))):
        rows = [json.dumps({"instruction": f"Say {word}.", "output": word}) for word in words]
        (tmp_path / f"{name}.jsonl").write_text("\n".join(rows))
    files = [str(tmp_path / f"{name}.jsonl") for name in "ab"]
    out = tmp_path / "out.jsonl"
    assert main(["filter", *files, "--use", "dedup_exact", "-o", str(out), "--root", str(tmp_path / "runs")]) == 0
    assert [record.answer for record in read_records(out)] == ["red", "blue", "green"]
    assert "duplicate 1" in capsys.readouterr().out


def test_python_m_datagen_is_the_command_line() -> None:
    done = subprocess.run([sys.executable, "-m", "datagen", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout == f"datagen {datagen.__version__}\n"
