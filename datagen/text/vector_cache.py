"""Vectors that were computed once, on disk, by the text and by all that made them: encoding is what embeddings cost.

One SQLite file for each maker, in ``$DATAGEN_CACHE`` or ``~/.cache/datagen``, so that runs and projects share it; it
may be deleted at any time. Several processes may read and write at once. About 1.6 kB a text at 384 dimensions; beyond
``LARGEST`` the older half goes.
"""

from __future__ import annotations

import hashlib
import logging
import os
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from datagen.text.embeddings import Vectors

logger = logging.getLogger("datagen")

LARGEST = 4 * 2**30
_WAIT_S = 60.0
_AT_ONCE = 1000


def cache_folder() -> Path:
    """Where caches lie that outlive runs."""
    given = os.environ.get("DATAGEN_CACHE")
    return Path(given) if given else Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "datagen"


class VectorCache:
    """Float32 vectors by text. A disk that refuses, or a file that is damaged, costs time and nothing else."""

    def __init__(self, maker: str, *, folder: Path | None = None, largest: int = LARGEST) -> None:
        """``maker`` is a digest of all that decides what vector a text has."""
        self._largest = largest
        where = (folder or cache_folder() / "embeddings") / f"{maker}.sqlite"
        try:
            where.parent.mkdir(parents=True, exist_ok=True)
            self._file = _opened(str(where))
        except (OSError, sqlite3.Error) as error:
            logger.warning(
                "embeddings: no cache in %s (%s): what is computed is forgotten after this run", where, error
            )
            self._file = _opened(":memory:")

    def vectors(self, texts: Sequence[str], compute: Callable[[list[str]], Vectors]) -> Vectors:
        """A row for each text, ``compute``d where it is not known yet: each text once, in the order of first sight."""
        import numpy as np

        keys = [_key(text) for text in texts]
        known = self._known(keys)
        missing = {key: text for key, text in zip(keys, texts, strict=True) if key not in known}
        if missing:
            made = np.ascontiguousarray(compute(list(missing.values())), np.float32)
            known.update(zip(missing, map(bytes, made), strict=True))
            self._keep([(key, known[key]) for key in missing])
        dimensions = len(known[keys[0]]) // 4 if keys else 0
        joined: Vectors = np.frombuffer(b"".join(known[key] for key in keys), np.float32)
        return joined.reshape(len(keys), dimensions)

    def close(self) -> None:
        """Let go of the file."""
        self._file.close()

    def _known(self, keys: Sequence[bytes]) -> dict[bytes, bytes]:
        found: dict[bytes, bytes] = {}
        try:
            for start in range(0, len(keys), _AT_ONCE):
                some = keys[start : start + _AT_ONCE]
                marks = ",".join("?" * len(some))
                found.update(self._file.execute(f"SELECT text, vector FROM vectors WHERE text IN ({marks})", some))
        except sqlite3.Error as error:
            logger.warning("embeddings: the cache cannot be read: %s", error)
        return found

    def _keep(self, rows: list[tuple[bytes, bytes]]) -> None:
        try:
            with self._file:
                self._file.executemany("INSERT OR IGNORE INTO vectors (text, vector) VALUES (?, ?)", rows)
                (pages, size, free) = (
                    self._number(f"PRAGMA {name}") for name in ("page_count", "page_size", "freelist_count")
                )
                if (pages - free) * size > self._largest:
                    middle = self._number("SELECT (min(rowid) + max(rowid)) / 2 FROM vectors")
                    self._file.execute("DELETE FROM vectors WHERE rowid <= ?", (middle,))
        except sqlite3.Error as error:
            logger.warning("embeddings: the cache cannot be written: %s", error)

    def _number(self, query: str) -> int:
        return int(self._file.execute(query).fetchone()[0])


def _opened(where: str) -> sqlite3.Connection:
    file = sqlite3.connect(where, timeout=_WAIT_S)
    file.execute("PRAGMA journal_mode=WAL")
    file.execute("PRAGMA synchronous=NORMAL")
    file.execute("CREATE TABLE IF NOT EXISTS vectors (text BLOB UNIQUE, vector BLOB)")
    return file


def _key(text: str) -> bytes:
    return hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()
