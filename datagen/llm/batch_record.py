"""What was submitted to a batch API, on disk before it is paid for, so that no process has to stay for the replies.

A batch is written down under a label of its own, with the keys of its requests, before the server hears of it; the
label travels in the batch's metadata. Whoever is killed between the two finds the batch again by its label.
"""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import NamedTuple

from datagen.errors import ConfigError, StageError

_SCHEMA = """
CREATE TABLE IF NOT EXISTS batches (label TEXT PRIMARY KEY, created REAL NOT NULL, id TEXT NOT NULL);
CREATE TABLE IF NOT EXISTS requests (
    key BLOB NOT NULL, label TEXT NOT NULL, PRIMARY KEY (key, label)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS of_batch ON requests (label);
"""
_LATEST = "SELECT label, id, created FROM requests JOIN batches USING (label) WHERE key = ? ORDER BY created DESC"
_KEPT_S = 30 * 86400  # a server keeps a batch's output no longer (OpenAI: 30 days)
_LOCK_TIMEOUT_S = 60


class Submitted(NamedTuple):
    """The last batch that a request went into; ``tries`` counts all of them. ``id`` is empty until the server's."""

    label: str
    id: str
    created: float
    tries: int


class BatchRecord:
    """The file of all batches; several processes may share it.

    Raises ``ConfigError`` where it cannot be one, later ``StageError``.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._database = sqlite3.connect(path, timeout=_LOCK_TIMEOUT_S, check_same_thread=False)
            with self._database:
                self._database.executescript(_SCHEMA)
                old = (time.time() - _KEPT_S,)
                self._database.execute(
                    "DELETE FROM requests WHERE label IN (SELECT label FROM batches WHERE created < ?)", old
                )
                self._database.execute("DELETE FROM batches WHERE created < ?", old)
        except (OSError, sqlite3.Error) as error:
            raise ConfigError(f"submitted {path}: {error}; mend or move the file, or choose another place") from error

    def find(self, key: bytes) -> Submitted | None:
        """The last batch that holds a request."""
        with self._working():
            found = self._database.execute(_LATEST, (key,)).fetchall()
        if not found:
            return None
        label, id, created = found[0]
        return Submitted(label, id, created, tries=len(found))

    def intend(self, label: str, keys: Iterable[bytes]) -> None:
        """A batch is about to be submitted."""
        with self._working():
            self._database.execute("INSERT INTO batches VALUES (?, ?, '')", (label, time.time()))
            self._database.executemany("INSERT INTO requests VALUES (?, ?)", ((key, label) for key in keys))

    def confirm(self, label: str, id: str) -> None:
        """The server has it, under this id."""
        with self._working():
            self._database.execute("UPDATE batches SET id = ? WHERE label = ?", (id, label))

    def forget(self, label: str) -> None:
        """It never ran: its requests may be submitted as if for the first time."""
        with self._working():
            self._database.execute("DELETE FROM requests WHERE label = ?", (label,))
            self._database.execute("DELETE FROM batches WHERE label = ?", (label,))

    def close(self) -> None:
        """Close the file."""
        self._database.close()

    @contextmanager
    def _working(self) -> Iterator[None]:
        try:
            with self._database:
                yield
        except sqlite3.Error as error:
            message = f"submitted {self._path}: {error}; mend it and run again: what was submitted is at the server"
            raise StageError(message) from error
