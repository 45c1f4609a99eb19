"""Several processes write one journal at once: none is locked out, nothing is lost, everything is counted."""

from __future__ import annotations

import sqlite3
import subprocess
import sys
from pathlib import Path

import yaml
from processes import data, finish, start
from server import Server

from datagen.llm.journal import Journal
from datagen.llm.journal_tools import spending
from datagen.record import encode, instruction

OWN, SHARED, WRITTEN = 60, 60, 1000
WRITER = """
import asyncio, sys
from pathlib import Path
from datagen.llm.base import Reply
from datagen.llm.journal import Journal

async def main(path, count):
    journal = Journal(path, "writer")
    for start in range(0, count, 10):
        names = [f"w{number}".encode() for number in range(start, start + 10)]
        await asyncio.gather(*[journal.put(name, Reply("x" * 500), model="w") for name in names])
    journal.close()

asyncio.run(main(Path(sys.argv[1]), int(sys.argv[2])))
"""


def write_pipeline(folder: Path, name: str, server: Server, first: int) -> None:
    """Answers to 120 rows, of which the other pipeline has 60 as well."""
    rows = [encode(instruction(f"Say {number}", source="test")) for number in range(first, first + OWN + SHARED)]
    (folder / f"{name}.jsonl").write_bytes(b"\n".join(rows) + b"\n")
    teacher = {
        "use": "openai",
        "base_url": server.url,
        "model": "m",
        "concurrency": 8,
        "price": {"input": 1, "output": 1},
    }
    stages = {
        "seeds": {"use": "sources.jsonl", "path": f"{name}.jsonl"},
        "answers": {"use": "generators.answer", "llm": "teacher"},
    }
    document = {"name": name, "llms": {"teacher": teacher}, "stages": stages}
    (folder / f"{name}.yaml").write_text(yaml.safe_dump(document, sort_keys=False))


def test_two_runs_and_a_writer_share_a_journal(tmp_path: Path, server: Server) -> None:
    server.latency_s = 0.01
    for name, first in (("one", 0), ("two", OWN)):
        write_pipeline(tmp_path, name, server, first)
    path = tmp_path / "runs" / "journal.sqlite"
    writer = subprocess.Popen([sys.executable, "-c", WRITER, path, str(WRITTEN)], stderr=subprocess.PIPE, text=True)
    runs = [start(tmp_path, "run", f"{name}.yaml", "-q") for name in ("one", "two")]
    assert [finish(run) for run in runs] == [(0, []), (0, [])]
    assert (writer.communicate(timeout=120)[1], writer.returncode) == ("", 0)
    journal = Journal(path)
    assert len(journal) == 2 * OWN + SHARED + WRITTEN
    journal.close()
    spent = {run: (calls, prompt) for run, _, calls, prompt, *_ in spending(path)}
    assert spent["writer"] == (WRITTEN, 0)
    assert sum(calls for run, (calls, _) in spent.items() if run != "writer") == server.seen.total()
    assert sum(tokens for _, tokens in spent.values()) == 7 * server.seen.total()
    one, two = (data(tmp_path, name)["answers/rows.jsonl"].splitlines() for name in ("one", "two"))
    assert one[OWN:] == two[:SHARED]
    check = sqlite3.connect(path)
    assert check.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    check.close()
