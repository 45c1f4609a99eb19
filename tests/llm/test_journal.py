from __future__ import annotations

import asyncio
import random
import signal
import sqlite3
import subprocess
import sys
from pathlib import Path

import pytest

from datagen.errors import ConfigError, StageError
from datagen.llm.base import Reply, Sampling, TokenLogprob, Usage
from datagen.llm.budget import Cost
from datagen.llm.journal import Journal, key

from .conftest import ask

REPLY = Reply("héllo 🎉", "length", Usage(3, 4), (TokenLogprob("h", -0.5, {"h": -0.5, "j": -1.0}),))

WRITER = """
import asyncio, sys
from pathlib import Path
from datagen.llm.base import Reply
from datagen.llm.journal import Journal

async def main(path, name):
    journal = Journal(Path(path))
    async def one(i):
        await journal.put(f"{name}-{i}".encode(), Reply(f"{name} {i} " + "x" * 500), model="m")
        print(i, flush=True)
    for start in range(0, int(sys.argv[3]), 20):
        await asyncio.gather(*[one(i) for i in range(start, start + 20)])
    journal.close()

asyncio.run(main(sys.argv[1], sys.argv[2]))
"""


def start_writer(path: Path, name: str, count: int) -> subprocess.Popen[str]:
    return subprocess.Popen([sys.executable, "-c", WRITER, path, name, str(count)], stdout=subprocess.PIPE, text=True)


async def test_a_reply_comes_back_as_it_was_also_from_a_new_process(tmp_path: Path) -> None:
    path = tmp_path / "deep" / "journal.sqlite"
    journal = Journal(path)
    assert journal.get(b"k") is None
    assert await journal.put(b"k", REPLY, model="m") == REPLY
    assert journal.get(b"k") == REPLY
    journal.close()
    journal.close()
    again = Journal(path)
    assert again.get(b"k") == REPLY
    assert len(again) == 1
    again.close()


async def test_a_reply_is_on_disk_when_put_returns(journal: Journal) -> None:
    await journal.put(b"k", REPLY, model="m")
    other = sqlite3.connect(journal.path)
    assert other.execute("SELECT model, prompt_tokens, completion_tokens FROM replies").fetchall() == [("m", 3, 4)]
    other.close()


async def test_the_first_reply_to_a_request_is_the_one_that_counts(journal: Journal) -> None:
    other = Journal(journal.path)
    await other.put(b"k", Reply("first"), model="m")
    assert (await journal.put(b"k", Reply("second"), model="m")).text == "first"
    both = await asyncio.gather(*[journal.put(b"n", Reply(text), model="m") for text in ("a", "b")])
    assert both[0] == both[1]
    other.close()


async def test_a_caller_that_is_gone_does_not_stop_the_writer(journal: Journal) -> None:
    gone = asyncio.ensure_future(journal.put(b"gone", REPLY, model="m"))
    await asyncio.sleep(0)
    gone.cancel()
    await journal.put(b"next", REPLY, model="m")
    assert journal.get(b"gone") == REPLY


async def test_a_number_too_large_for_the_file_fails_its_call_and_not_the_writer(journal: Journal) -> None:
    with pytest.raises(StageError, match="too large"):
        await asyncio.wait_for(journal.put(b"k", Reply("x", usage=Usage(2**64, 1)), model="m"), 10)
    assert await asyncio.wait_for(journal.put(b"next", REPLY, model="m"), 10) == REPLY


def test_an_event_loop_that_is_gone_does_not_stop_the_writer(journal: Journal) -> None:
    async def start() -> None:
        gone = asyncio.ensure_future(journal.put(b"gone", REPLY, model="m"))
        await asyncio.sleep(0)
        assert not gone.done()

    asyncio.run(start())
    asyncio.run(journal.put(b"next", REPLY, model="m"))
    assert journal.get(b"next") == REPLY


def test_two_processes_write_one_journal(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    writers = [start_writer(path, name, 200) for name in "ab"]
    for writer in writers:
        writer.communicate()
        assert writer.returncode == 0
    journal = Journal(path)
    assert len(journal) == 400
    journal.close()


def test_kill_9_loses_nothing_that_was_acknowledged(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    rng = random.Random(0)
    acknowledged = set()
    for attempt in range(4):
        writer = start_writer(path, str(attempt), 100_000)
        assert writer.stdout is not None
        for _ in range(rng.randint(1, 300)):
            acknowledged.add(f"{attempt}-{writer.stdout.readline().strip()}")
        writer.send_signal(signal.SIGKILL)
        acknowledged |= {f"{attempt}-{line.strip()}" for line in writer.stdout if line.endswith("\n")}
        writer.wait()
        writer.stdout.close()
    journal = Journal(path)
    assert all(journal.get(name.encode()) for name in acknowledged)
    check = sqlite3.connect(path)
    assert check.execute("PRAGMA integrity_check").fetchone() == ("ok",)
    check.close()
    journal.close()


def test_a_full_disk_is_told_and_loses_nothing(tmp_path: Path) -> None:
    program = """
import asyncio, os, resource, sys
from pathlib import Path
from datagen.errors import StageError
from datagen.llm.base import Reply
from datagen.llm.journal import Journal

async def main(path):
    journal = Journal(path)
    resource.setrlimit(resource.RLIMIT_FSIZE, (300_000, resource.getrlimit(resource.RLIMIT_FSIZE)[1]))
    stored = 0
    try:
        while True:
            await journal.put(str(stored).encode(), Reply(os.urandom(20_000).hex()), model="m")
            stored += 1
    except StageError as error:
        print(stored, error)
    resource.setrlimit(resource.RLIMIT_FSIZE, (resource.RLIM_INFINITY, resource.RLIM_INFINITY))
    await journal.put(b"after", Reply("room again"), model="m")
    journal.close()

asyncio.run(main(Path(sys.argv[1])))
"""
    path = tmp_path / "journal.sqlite"
    done = subprocess.run([sys.executable, "-c", program, path], capture_output=True, text=True, check=True)
    stored, _, message = done.stdout.partition(" ")
    assert "free the disk and run again" in message
    journal = Journal(path)
    assert int(stored) > 2
    assert all(journal.get(str(i).encode()) for i in range(int(stored)))
    assert journal.get(b"after") == Reply("room again")
    journal.close()


def test_a_file_that_is_no_journal_is_one_clear_line(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    path.write_bytes(b"not a database at all, " * 500)
    with pytest.raises(ConfigError, match=r"journal\.sqlite: file is not a database"):
        Journal(path)
    with pytest.raises(ConfigError, match="journal"):
        Journal(path / "below" / "a" / "file")


def test_a_journal_of_a_newer_version_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    newer = sqlite3.connect(path)
    newer.execute("PRAGMA user_version=99")
    newer.close()
    with pytest.raises(ConfigError, match="newer datagen"):
        Journal(path)


async def test_a_journal_of_the_first_version_is_brought_up_to_date_and_keeps_its_replies(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    Journal(path).close()
    older = sqlite3.connect(path)
    with older:
        older.execute("DROP TABLE spending")
        older.execute("PRAGMA user_version=1")
    older.close()
    journal = Journal(path, "run")
    await journal.put(b"k", REPLY, model="m", usd=0.5)
    assert (journal.get(b"k"), journal.spent()) == (REPLY, Cost(0.5, 7, 1))
    journal.close()


async def test_what_each_run_spent_is_added_up_also_where_its_reply_came_second(tmp_path: Path) -> None:
    path = tmp_path / "journal.sqlite"
    one, other = Journal(path, "one"), Journal(path, "other")
    await one.put(b"k", REPLY, model="m", usd=0.25)
    await one.put(b"n", REPLY, model="m2", usd=0.25)
    await other.put(b"k", REPLY, model="m", usd=1.0)
    assert (one.spent(), other.spent()) == (Cost(0.5, 14, 2), Cost(1.0, 7, 1))
    assert len(one) == 2
    one.close()
    other.close()


async def test_a_damaged_row_is_told(journal: Journal) -> None:
    await journal.put(b"k", REPLY, model="m")
    other = sqlite3.connect(journal.path)
    with other:
        other.execute("UPDATE replies SET reply = x'00'")
    other.close()
    with pytest.raises(StageError, match="cannot be read"):
        journal.get(b"k")


async def test_many_open_the_same_file_and_see_each_others_replies(tmp_path: Path) -> None:
    journals = [Journal(tmp_path / "journal.sqlite") for _ in range(10)]
    for number, journal in enumerate(journals):
        await journal.put(str(number).encode(), Reply(f"reply {number}"), model="m")
    for journal in journals:
        assert [journal.get(str(number).encode()) for number in range(10)] == [Reply(f"reply {n}") for n in range(10)]
        journal.close()


def test_the_key_is_stable_and_ignores_the_order_of_a_mapping() -> None:
    sampling = Sampling(schema={"a": 1, "b": 2})
    turned = Sampling(schema={"b": 2, "a": 1})
    assert key({"x": 1, "y": 2}, ask("q"), sampling, 0) == key({"y": 2, "x": 1}, ask("q"), turned, 0)
    assert key({"model": "m"}, ask("q"), Sampling(), 0).hex() == "dc783817811bad2df362fc3f352f8735"
