from __future__ import annotations

import json
import sqlite3
from pathlib import Path

import pytest

from datagen.cli import main
from datagen.llm.base import Reply, Usage
from datagen.llm.journal import Journal

Capture = pytest.CaptureFixture[str]


@pytest.fixture(autouse=True)
async def _journal(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Three replies of two models, one of them written 30 days ago."""
    monkeypatch.chdir(tmp_path)
    journal = Journal(Path("runs/journal.sqlite"), "first")
    for number, model in enumerate(("big", "big", "small")):
        reply = Reply(f"the reply\n{number}" + "x" * 5000 * number, usage=Usage(1000, 10 + number))
        await journal.put(str(number).encode(), reply, model=model, usd=0.25)
    journal.close()
    aged = sqlite3.connect("runs/journal.sqlite")
    with aged:
        aged.execute("UPDATE replies SET created = created - 30 * 86400 WHERE key = ?", (b"1",))
    aged.close()


def replies() -> int:
    journal = Journal(Path("runs/journal.sqlite"))
    count = len(journal)
    journal.close()
    return count


def test_stats_count_replies_by_model_and_money_by_run(capsys: Capture) -> None:
    assert main(["journal", "stats"]) == 0
    lines = [line.split() for line in capsys.readouterr().out.splitlines()]
    assert ["big", "2", "2,000", "21"] in [line[:4] for line in lines]
    assert ["first", "big", "2", "2,000", "21", "0.5000"] in lines


def test_grep_shows_one_line_for_each_reply_that_matches_oldest_first(capsys: Capture) -> None:
    assert main(["journal", "grep", r"reply\n[12]"]) == 0
    first, second = capsys.readouterr().out.splitlines()
    assert "big: the reply 1xxx" in first
    assert "small: the reply 2xxx" in second
    assert len(second) < 200
    assert main(["journal", "grep", "reply", "-n", "1", "--model", "small"]) == 0
    assert len(capsys.readouterr().out.splitlines()) == 1
    assert main(["journal", "grep", "nowhere"]) == 1
    assert main(["journal", "grep", "("]) == 2
    assert "not a regular expression" in capsys.readouterr().err


def test_export_writes_every_raw_reply(capsys: Capture) -> None:
    assert main(["journal", "export", "-o", "out/replies.jsonl", "--model", "big"]) == 0
    rows = [json.loads(line) for line in Path("out/replies.jsonl").read_text().splitlines()]
    assert [row["key"] for row in rows] == [b"1".hex(), b"0".hex()]
    assert rows[1]["reply"] == {"text": "the reply\n0", "usage": {"prompt_tokens": 1000, "completion_tokens": 10}}
    assert "wrote 2 replies" in capsys.readouterr().out


def test_prune_first_says_what_would_go_and_then_does_it(capsys: Capture) -> None:
    old = ["journal", "prune", "--older-than", "7"]
    assert main(old) == 0
    assert "would delete 1 replies (11 completion tokens)" in capsys.readouterr().out
    assert replies() == 3
    assert main([*old, "--model", "small", "--yes"]) == 0
    assert replies() == 3
    assert main([*old, "--yes"]) == 0
    assert replies() == 2
    assert main(["journal", "stats"]) == 0
    assert "0.5000" in capsys.readouterr().out  # what was spent stays counted


def test_prune_deletes_nothing_unless_it_is_told_what(capsys: Capture) -> None:
    assert main(["journal", "prune", "--yes"]) == 2
    assert "say which" in capsys.readouterr().err
    assert replies() == 3


@pytest.mark.parametrize("where", ["before", "after"])
def test_where_there_is_no_journal_that_is_said(where: str, capsys: Capture) -> None:
    root = ["--root", "elsewhere"]
    assert main(["journal", *root, "stats"] if where == "before" else ["journal", "stats", *root]) == 2
    assert "no journal elsewhere/journal.sqlite" in capsys.readouterr().err
    assert not Path("elsewhere").exists()


def test_a_damaged_reply_is_one_line(capsys: Capture) -> None:
    damaged = sqlite3.connect("runs/journal.sqlite")
    with damaged:
        damaged.execute("UPDATE replies SET reply = x'00'")
    damaged.close()
    assert main(["journal", "grep", "x"]) == 1
    assert capsys.readouterr().err.count("\n") == 1


@pytest.mark.parametrize("action", [["grep", "x"], ["export", "-o", "out.jsonl"], ["prune", "--yes"]])
def test_a_model_that_never_replied_is_told(action: list[str], capsys: Capture) -> None:
    assert main(["journal", *action, "--model", "bigg"]) == 2
    assert "holds no reply of 'bigg'; of these it does: big, small" in capsys.readouterr().err
    assert not Path("out.jsonl").exists()
