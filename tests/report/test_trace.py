"""``datagen trace`` and ``datagen why`` on a run of toy stages."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from rich.text import Text

import datagen
from datagen.cli import main
from datagen.llm import trail
from datagen.llm.client import LLM
from datagen.record import Message, Record, instruction, read_records
from datagen.report.show import open_console, print_under
from datagen.report.trace import said

Lines = Callable[..., list[str]]


async def reworded(records: Iterable[Record], *, llm: LLM) -> AsyncIterator[Record]:
    """A loop stage that links its rows to its requests."""
    for record in records:
        with trail.following() as calls:
            reply = await llm.chat([Message("user", f"Reword: {record.instruction}")])
        yield trail.link(instruction(f"Reworded {reply.text}", parents=(record.id,)), calls)


def adopted(records: Iterable[Record]) -> Iterator[Record]:
    """Rows that name their grandparents as parents, too."""
    for record in records:
        yield instruction(f"Adopted {record.instruction}", parents=(record.id, *record.parents))


async def noted(data: Any, out: Path) -> dict[str, Any]:
    """A job that reads rows."""
    return {"rows": len(data)}


@pytest.fixture
def outcome(tmp_path: Path) -> Any:
    document = {
        "name": "family",
        "llms": {"teacher": {"use": "toy:backend"}},
        "stages": {
            "seeds": {"use": "toy:numbers", "n": 8},
            "others": {"use": "test_trace:reworded", "llm": "teacher"},
            "adopted": {"use": "test_trace:adopted"},
            "answers": {"use": "toy:answer", "llm": "teacher", "samples": 1, "from": "others"},
            "fewer": {"use": "toy:every", "k": 4},
            "graded": {"use": "toy:grade", "llm": "teacher", "at_least": 0},
            "mixture": {"use": "mixtures.blend", "from": ["graded"], "size": 2},
            "job": {"use": "test_trace:noted"},
        },
    }
    return datagen.run(document, root=tmp_path / "runs")


@pytest.fixture
def told(outcome: Any, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Lines:
    """The lines that a command prints."""

    def run(command: str, *words: str, code: int = 0) -> list[str]:
        capsys.readouterr()
        assert main([command, *words, "--root", str(tmp_path / "runs")]) == code
        captured = capsys.readouterr()
        return (captured.out + captured.err).splitlines()

    return run


def rows(outcome: Any, stage: str, file: str = "rows.jsonl") -> list[Record]:
    return list(read_records(outcome.folders[stage] / file))


def test_a_row_is_traced_to_its_seed_with_every_raw_reply(outcome: Any, told: Lines) -> None:
    row = rows(outcome, "mixture")[0]
    lines = told("trace", "family", row.id[:10])
    heads = [line.partition("  ")[2] for line in lines if "made by" in line]
    assert heads == [
        "row, made by answers (toy:answer)",
        "parent, made by others (test_trace:reworded)",
        "ancestor 2 steps back, made by seeds (toy:numbers)",
    ]
    raw = [line.strip(" │") for line in lines if "│" in line]
    asked = row.instruction.removeprefix("Reworded ")
    assert raw == [row.answer, asked]


def test_an_ancestor_by_two_ways_is_told_once(outcome: Any, told: Lines) -> None:
    row = rows(outcome, "adopted")[0]
    heads = [line[:12] for line in told("trace", "family", row.id) if "made by" in line]
    assert heads == [id[:12] for id in (row.id, *row.parents)]


def test_ancestors_are_as_many_as_asked_for(outcome: Any, told: Lines) -> None:
    row = rows(outcome, "graded")[0]
    lines = told("trace", "family", row.id, "-n", "1")
    assert sum("made by" in line for line in lines) == 1
    assert lines[-1] == "… and 1 more, before their own parents; -n sets how many"


def test_replies_that_are_gone_are_named_and_nothing_is_made_anew(outcome: Any, told: Lines, tmp_path: Path) -> None:
    for file in (tmp_path / "runs").glob("journal.sqlite*"):
        file.unlink()
    lines = told("trace", "family", rows(outcome, "graded")[0].id)
    assert sum("is not in the journal" in line for line in lines) == 2
    assert not (tmp_path / "runs" / "journal.sqlite").exists()


def test_a_parent_that_no_stage_made_is_named(outcome: Any, told: Lines) -> None:
    row = rows(outcome, "others")[0]
    seeds = outcome.folders["seeds"] / "rows.jsonl"
    seeds.write_bytes(
        b"".join(line for line in seeds.read_bytes().splitlines(True) if row.parents[0].encode() not in line)
    )
    assert told("trace", "family", row.id)[-1] == f"{row.parents[0][:12]}  parent, in no finished stage of this run"


def test_why_tells_what_each_stage_did_to_a_row(outcome: Any, told: Lines) -> None:
    taken = {record.id for record in rows(outcome, "mixture")}
    graded = rows(outcome, "graded")
    inside, outside = (next(r for r in graded if (r.id in taken) is wanted) for wanted in (True, False))

    def fates(id: str) -> dict[str, str]:
        names = set(outcome.folders)
        split = (line.split(None, 1) for line in told("why", "family", id))
        return {words[0]: words[1].strip() for words in split if words and words[0] in names}

    score = next(record for record in graded if record.id == inside.id).answers[0].scores["toy"]
    made = {"answers": "made (toy:answer)", "fewer": "kept"}
    assert fates(inside.id) == {**made, "graded": f"kept  toy {score:g}", "mixture": "kept", "job": "read"}
    assert fates(outside.id)["mixture"] == "left out"
    assert "job" not in fates(outside.id)
    (dropped, *_) = rows(outcome, "fewer", "dropped.jsonl")
    assert fates(dropped.id) == {"answers": "made (toy:answer)", "fewer": "dropped every:kth  at=0"}


def test_why_follows_a_row_into_what_was_made_of_it(outcome: Any, told: Lines) -> None:
    dropped = rows(outcome, "fewer", "dropped.jsonl")[0]
    lines = told("why", "family", dropped.parents[0])
    (other,) = (row for row in rows(outcome, "adopted") if dropped.parents[0] in row.parents)
    wanted = [f"adopted          made of it: 1 kept ({other.id[:12]})"]
    wanted += [f"answers          made of it: 1 kept ({dropped.id[:12]})"]
    wanted += ["fewer            of what was made of it: 0 kept, 1 dropped every:kth"]
    assert [line.strip() for line in lines if "made of it" in line] == wanted


def test_a_row_of_another_part_did_not_reach_a_stage(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    document = {
        "name": "parts",
        "stages": {
            "seeds": {"use": "toy:numbers", "n": 4},
            "parted": {"use": "toy:halves"},
            "odd": {"use": "toy:every", "from": "parted.odd", "k": 3},
            "few": {"use": "mixtures.blend", "from": ["parted.even"], "size": 1},
        },
    }
    made = datagen.run(document, root=tmp_path / "runs")
    stages = []
    for record in rows(made, "parted")[:3]:
        capsys.readouterr()
        main(["why", "parts", record.id, "--root", str(tmp_path / "runs")])
        stages.append(
            [line.split()[0] for line in capsys.readouterr().out.splitlines() if line.split()[0] in made.folders]
        )
    assert stages == [["seeds", "parted", "few"], ["seeds", "parted", "odd"], ["seeds", "parted", "few"]]


@pytest.mark.parametrize("command", ["trace", "why"])
@pytest.mark.parametrize(
    ("words", "problem"),
    [
        (["family", "xyz"], "no row 'xyz'; every line of a rows.jsonl begins with its id"),
        (["family", ""], "rows begin with ''"),
        (["other", "00"], "no run 'other'"),
    ],
)
def test_a_row_that_cannot_be_told_is_one_line_and_exit_2(
    told: Lines, command: str, words: list[str], problem: str
) -> None:
    (line,) = told(command, *words, code=2)
    assert problem in line


def test_what_a_reply_holds_is_printed_as_text(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    script = tmp_path / "script.jsonl"
    script.write_text('{"match": ".", "reply": "[red]x[/red]\\n\\u001b[31mred"}\n')
    document = {
        "name": "hostile",
        "llms": {"teacher": {"use": "scripted", "path": str(script)}},
        "stages": {"seeds": {"use": "toy:numbers", "n": 1}, "answers": {"use": "toy:answer", "llm": "teacher"}},
    }
    made = datagen.run(document, root=tmp_path / "runs")
    main(["trace", "hostile", rows(made, "answers")[0].id, "--root", str(tmp_path / "runs")])
    out = capsys.readouterr().out
    assert "│ [red]x[/red]" in out
    assert "│ �[31mred" in out
    assert "\x1b" not in out


def test_labels_are_short_and_say_nothing_twice() -> None:
    labels = {"similarity": 2 / 3, "instruction": "Say it", "input": "", "kinds": ["a"], "skill": "echo"}
    lines = [line.plain for line in said(instruction("Say it").labelled(**labels))]
    assert lines == ["user: Say it", "similarity 0.667, kinds ['a'], skill echo"]


def test_a_long_line_goes_on_below_where_it_began(capsys: pytest.CaptureFixture[str]) -> None:
    print_under(open_console(), Text("word " * 60))
    lines = capsys.readouterr().out.splitlines()
    assert len(lines) > 1
    assert all(line.startswith("  word") and line == line.rstrip() for line in lines)
