"""A budget on a real run over HTTP: it stops before the line, says what was spent, and goes on when it is raised."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml
from processes import data, finish, run, start
from server import Server

from datagen.cli import main
from datagen.llm.journal_tools import spending
from datagen.record import encode, instruction

ROWS = 80
PRICE = {"input": 1000, "output": 2000}


def write(folder: Path, server: Server, **budget: float) -> None:
    """Answers and grades behind a server, whose replies may be 250 tokens."""
    folder.mkdir(exist_ok=True)
    rows = [encode(instruction(f"Say {number}", source="test")) for number in range(ROWS)]
    (folder / "seeds.jsonl").write_bytes(b"\n".join(rows) + b"\n")
    teacher = {"use": "openai", "base_url": server.url, "model": "m", "concurrency": 4, "price": PRICE}
    document: dict[str, Any] = {
        "name": "toy",
        "llms": {"teacher": {**teacher, "sampling": {"max_tokens": 250}}},
        "stages": {
            "seeds": {"use": "sources.jsonl", "path": str(folder / "seeds.jsonl")},
            "answers": {"use": "generators.answer", "llm": "teacher"},
            "graded": {"use": "filters.grade", "llm": "teacher", "min_score": 0},
        },
    }
    (folder / "toy.yaml").write_text(yaml.safe_dump({**document, "budget": budget or None}, sort_keys=False))


def spent(folder: Path) -> tuple[int, int, float]:
    """Calls, tokens and USD that the journal holds of the run."""
    rows = spending(folder / "runs" / "journal.sqlite")
    return sum(row[2] for row in rows), sum(row[3] + row[4] for row in rows), sum(row[5] for row in rows)


@pytest.mark.parametrize(
    ("name", "limits", "at"), [("calls", (50, 90), 0), ("tokens", (10_000, 13_500), 1), ("usd", (15.0, 22.5), 2)]
)
def test_a_budget_is_never_crossed_and_a_raised_one_goes_on(
    tmp_path: Path, server: Server, capsys: pytest.CaptureFixture[str], name: str, limits: tuple[float, float], at: int
) -> None:
    def run(folder: Path) -> tuple[int, list[str]]:
        code = main(["run", str(folder / "toy.yaml"), "-q", "--root", str(folder / "runs")])
        return code, capsys.readouterr().err.splitlines()

    write(tmp_path / "free", server)
    assert run(tmp_path / "free") == (0, [])
    calls = server.seen.total()
    server.seen.clear()
    folder, used = tmp_path / "limited", 0.0
    for limit in limits:
        write(folder, server, **{name: limit})
        code, lines = run(folder)
        assert code == 2
        assert f"budget ({name}: {limit:,}): spent $" in lines[-1], lines
        assert "Raise the budget and run the same command again" in lines[-1]
        assert used < spent(folder)[at] <= limit
        assert spent(folder)[0] == server.seen.total()
        used = spent(folder)[at]
    write(folder, server)
    assert run(folder) == (0, [])
    assert (server.seen.total(), server.repeated) == (calls, 0)
    assert data(folder) == data(tmp_path / "free")


def test_what_was_spent_before_a_kill_counts(tmp_path: Path, server: Server) -> None:
    server.latency_s = 0.05
    write(tmp_path, server, calls=60)
    process = start(tmp_path, "run", "toy.yaml", "-q")
    while len(server.seen) < 30 and process.poll() is None:
        pass
    process.kill()
    finish(process)
    before = spent(tmp_path)[0]
    assert 0 < before <= 30 + 4
    code, _ = run(tmp_path, "run", "toy.yaml", "-q")
    assert (code, spent(tmp_path)[0]) == (2, 60)
