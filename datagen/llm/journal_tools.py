"""What a journal holds, outside of any run: totals, its replies one by one, and making it smaller."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, NamedTuple

import msgspec

from datagen.errors import ConfigError, StageError
from datagen.llm.base import Reply
from datagen.llm.journal import connect
from datagen.zstd import zstd

_DAY_S = 86_400.0


class Stored(msgspec.Struct, frozen=True):
    """One reply with what the journal knows of it. Its key is a hash of the request, which itself is not kept."""

    key: str
    model: str
    created: float
    """Seconds since 1970."""
    reply: Reply


class Chosen(NamedTuple):
    """Which replies are meant; ``None`` means any."""

    model: str | None = None
    older_than_days: float | None = None

    @property
    def where(self) -> str:
        """A clause of SQL for ``values``."""
        tests = [("model = ?", self.model), ("created < ?", self.older_than_days)]
        given = [test for test, value in tests if value is not None]
        return f"WHERE {' AND '.join(given)}" if given else ""

    @property
    def values(self) -> tuple[str | float, ...]:
        """What stands for the question marks in ``where``."""
        before = None if self.older_than_days is None else time.time() - self.older_than_days * _DAY_S
        return tuple(value for value in (self.model, before) if value is not None)


def totals(path: Path, chosen: Chosen = Chosen()) -> list[tuple[str, int, int, int, float, float]]:
    """For each model: replies, prompt tokens, completion tokens, first and last time. Raises ``ConfigError``."""
    what = "model, count(*), sum(prompt_tokens), sum(completion_tokens), min(created), max(created)"
    return _all(path, f"SELECT {what} FROM replies {chosen.where} GROUP BY model ORDER BY model", chosen.values)


def spending(path: Path) -> list[tuple[str, str, int, int, int, float]]:
    """For each run and model: calls, prompt tokens, completion tokens, USD. Raises ``ConfigError``."""
    return _all(path, "SELECT * FROM spending ORDER BY run, model", ())


def stored(path: Path, chosen: Chosen = Chosen()) -> Iterator[Stored]:
    """The replies, oldest first, one in memory at a time. Raises ``ConfigError`` and, for damage, ``StageError``."""
    decoder = msgspec.json.Decoder(Reply)
    with _opened(path) as connection:
        order = [
            key
            for (key,) in connection.execute(
                f"SELECT key FROM replies {chosen.where} ORDER BY created, key", chosen.values
            )
        ]
        for key in order:
            row = connection.execute("SELECT model, created, reply FROM replies WHERE key = ?", (key,)).fetchone()
            if row is not None:
                yield Stored(key.hex(), row[0], row[1], decoder.decode(zstd.decompress(row[2])))


def delete(path: Path, chosen: Chosen) -> int:
    """Delete replies and give their space back; the number deleted. What was spent stays counted."""
    with _opened(path) as connection:
        deleted = connection.execute(f"DELETE FROM replies {chosen.where}", chosen.values).rowcount
        connection.commit()
        connection.execute("VACUUM")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return deleted


def _all(path: Path, query: str, values: tuple[Any, ...]) -> list[Any]:
    with _opened(path) as connection:
        return connection.execute(query, values).fetchall()


@contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    if not path.is_file():
        raise ConfigError(f"no journal {path}; --root names the folder of the runs")
    try:
        with closing(connect(path)) as connection:
            yield connection
    except (sqlite3.Error, zstd.ZstdError, msgspec.DecodeError) as error:
        raise StageError(f"journal {path}: {error}") from error
