"""Paid once, replayed for ever: every reply is committed, as it came, before it is used.

SQLite in WAL mode with ``synchronous=FULL``; a writer thread commits many replies at once; values are zstd-compressed
JSON. The key is a hash of everything that can change the answer. Several processes may share one journal: the first
reply to a request is the one that counts, for all of them. What each run spent is added up in the same commit, also
where its reply came second.
"""

from __future__ import annotations

import asyncio
import hashlib
import queue
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import msgspec

from datagen.errors import ConfigError, StageError
from datagen.llm.base import Reply, Sampling
from datagen.llm.budget import Cost
from datagen.record import Message
from datagen.zstd import zstd

_VERSION = 2
_SCHEMA = (
    """
CREATE TABLE IF NOT EXISTS replies (
    key BLOB PRIMARY KEY, model TEXT NOT NULL, created REAL NOT NULL,
    prompt_tokens INTEGER NOT NULL, completion_tokens INTEGER NOT NULL, reply BLOB NOT NULL
) WITHOUT ROWID
""",
    """
CREATE TABLE IF NOT EXISTS spending (
    run TEXT NOT NULL, model TEXT NOT NULL, calls INTEGER NOT NULL,
    prompt_tokens INTEGER NOT NULL, completion_tokens INTEGER NOT NULL, usd REAL NOT NULL,
    PRIMARY KEY (run, model)
) WITHOUT ROWID
""",
)
_SPEND = """
INSERT INTO spending VALUES (?, ?, 1, ?, ?, ?) ON CONFLICT DO UPDATE SET
    calls = calls + 1, prompt_tokens = prompt_tokens + excluded.prompt_tokens,
    completion_tokens = completion_tokens + excluded.completion_tokens, usd = usd + excluded.usd
"""
_BATCH = 1024
_GATHER_S = 0.005  # a commit costs CPU and an fsync however many replies are in it; no slot is held meanwhile
_LOCK_TIMEOUT_S = 60
_UNREADABLE = (sqlite3.Error, zstd.ZstdError, msgspec.DecodeError)
_encoder = msgspec.json.Encoder(order="deterministic")
_Put = tuple[bytes, str, float, int, int, bytes]
_Spent = tuple[str, str, int, int, float]
_Waiting = tuple[_Put, _Spent, "asyncio.Future[bytes]"]
_Outcome = tuple["asyncio.Future[bytes]", "bytes | Exception"]


def key(identity: dict[str, Any], messages: Sequence[Message], sampling: Sampling, sample: int) -> bytes:
    """The journal's key (16 bytes) of one request. Raises ``UnicodeEncodeError`` for text with lone surrogates."""
    request = (identity, list(messages), sampling, sample)
    return hashlib.blake2b(_encoder.encode(request), digest_size=16).digest()


class Journal:
    """The replies of all runs that share one file; ``run`` names the one whose spending is counted here.

    Raises:
        ConfigError: a file that is no journal, cannot be written, or comes from a newer version of this package.
    """

    def __init__(self, path: Path, run: str = "") -> None:
        self.path = path
        self.run = run
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._reader = connect(path)
            self._connection = connect(path)
        except (OSError, sqlite3.Error) as error:
            raise ConfigError(f"journal {path}: {error}; mend or move the file, or choose another place") from error
        self._queue: queue.SimpleQueue[_Waiting | None] = queue.SimpleQueue()
        self._compressor = zstd.ZstdCompressor(level=3)
        self._decoder = msgspec.json.Decoder(Reply)
        self._closed = False
        self._writer = threading.Thread(target=self._write, name="journal", daemon=True)
        self._writer.start()

    def get(self, key: bytes) -> Reply | None:
        """The stored reply, or None. Raises ``StageError`` for a damaged file."""
        try:
            row = self._reader.execute("SELECT reply FROM replies WHERE key = ?", (key,)).fetchone()
            return None if row is None else self._decode(row[0])
        except _UNREADABLE as error:
            raise self._unreadable(error) from error

    async def put(self, key: bytes, reply: Reply, *, model: str, usd: float = 0.0) -> Reply:
        """The reply that counts from now on, on disk: this one, or the one that another process stored before.

        Raises:
            StageError: the disk does not take it; nothing that was stored before is lost.
            UnicodeEncodeError: text with lone surrogates.
        """
        assert not self._closed, "put() after close()"
        value = self._compressor.compress(msgspec.json.encode(reply), zstd.ZstdCompressor.FLUSH_FRAME)
        usage = reply.usage
        row = (key, model, time.time(), usage.prompt_tokens, usage.completion_tokens, value)
        done: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        spent = (self.run, model, usage.prompt_tokens, usage.completion_tokens, usd)
        self._queue.put((row, spent, done))
        try:
            stored = await done
        except (sqlite3.Error, OverflowError) as error:
            message = f"journal {self.path}: {error}; free the disk and run again: nothing stored is lost"
            raise StageError(message) from error
        return reply if stored is value else self._decode(stored)

    def spent(self) -> Cost:
        """What this journal's run has spent so far, over all resumes. Raises ``StageError`` for a damaged file."""
        totals = "total(usd), sum(prompt_tokens + completion_tokens), sum(calls)"
        try:
            usd, *counts = self._reader.execute(f"SELECT {totals} FROM spending WHERE run = ?", (self.run,)).fetchone()
        except _UNREADABLE as error:
            raise self._unreadable(error) from error
        return Cost(usd, *(count or 0 for count in counts))

    def __len__(self) -> int:
        count: int = self._reader.execute("SELECT count(*) FROM replies").fetchone()[0]
        return count

    def close(self) -> None:
        """Commit what is queued and close the file. A second time does nothing."""
        if self._closed:
            return
        self._closed = True
        self._queue.put(None)
        self._writer.join()
        self._reader.close()

    def _unreadable(self, error: Exception) -> StageError:
        return StageError(f"journal {self.path}: cannot be read: {error}; move it away to start afresh")

    def _decode(self, value: bytes) -> Reply:
        return self._decoder.decode(zstd.decompress(value))

    def _write(self) -> None:
        running = True
        while running:
            batch = list(self._batch())
            running = None not in batch
            puts = [item for item in batch if item is not None]
            stored = _commit(self._connection, [row for row, _, _ in puts], [spent for _, spent, _ in puts])
            _settle([(done, outcome) for (_, _, done), outcome in zip(puts, stored, strict=True)])
        self._connection.close()

    def _batch(self) -> Iterator[_Waiting | None]:
        yield self._queue.get()
        time.sleep(_GATHER_S)
        for _ in range(_BATCH):
            if self._queue.empty():
                return
            yield self._queue.get()


def _commit(connection: sqlite3.Connection, rows: list[_Put], spent: list[_Spent]) -> Sequence[bytes | Exception]:
    """What the journal holds for each row once they are on disk, or the error that kept them out."""
    try:
        with connection:
            inserted = connection.executemany("INSERT OR IGNORE INTO replies VALUES (?, ?, ?, ?, ?, ?)", rows).rowcount
            connection.executemany(_SPEND, spent)
            # Before the commit: after it, another process could prune what is looked for.
            return [row[-1] if inserted == len(rows) else _first(connection, row) for row in rows]
    except (sqlite3.Error, OverflowError) as error:  # overflow: a number that SQLite has no room for
        return [error] * len(rows)


def _first(connection: sqlite3.Connection, row: _Put) -> bytes:
    stored: bytes = connection.execute("SELECT reply FROM replies WHERE key = ?", row[:1]).fetchone()[0]
    return row[-1] if stored == row[-1] else stored


def _settle(outcomes: list[_Outcome]) -> None:
    """Tell the callers, each on its own event loop; one that is gone has its reply in the journal all the same."""
    loops = {done.get_loop() for done, _ in outcomes}
    for loop in loops:
        mine = [outcome for outcome in outcomes if outcome[0].get_loop() is loop]
        try:
            loop.call_soon_threadsafe(_resolve, mine)
        except RuntimeError:  # the loop is closed
            continue


def _resolve(outcomes: list[_Outcome]) -> None:
    for done, outcome in outcomes:
        if done.done():
            continue
        if isinstance(outcome, bytes):
            done.set_result(outcome)
        else:
            done.set_exception(outcome)


def connect(path: Path) -> sqlite3.Connection:
    """A connection to a journal, made or brought up to date. Raises ``ConfigError`` for one of a newer version."""
    connection = sqlite3.connect(path, timeout=_LOCK_TIMEOUT_S, check_same_thread=False)
    connection.execute("PRAGMA page_size=8192")
    _use_wal(connection)
    connection.execute("PRAGMA synchronous=FULL")
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > _VERSION:
        connection.close()
        raise ConfigError(f"journal {path}: written by a newer datagen (format {version}); upgrade, or move it away")
    if version < _VERSION:
        with connection:
            for table in _SCHEMA:
                connection.execute(table)
            connection.execute(f"PRAGMA user_version={_VERSION}")
    return connection


def _use_wal(connection: sqlite3.Connection) -> None:
    """Switch to WAL mode; SQLite does not wait for the lock here (its busy handler is not called), so we do."""
    deadline = time.monotonic() + _LOCK_TIMEOUT_S
    while True:
        try:
            connection.execute("PRAGMA journal_mode=WAL")
            return
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode != sqlite3.SQLITE_BUSY or time.monotonic() > deadline:
                raise
            time.sleep(0.02)
