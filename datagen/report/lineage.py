"""Rows of a run by their ids: where each was made, what it was made from, and what became of it."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from dataclasses import dataclass
from pathlib import Path

import msgspec

from datagen.errors import ConfigError
from datagen.record import Record, decode
from datagen.runner import Outcome
from datagen.store import DROPPED, REPLIES, ROWS, Replies, Result

_ID = slice(len('{"id":"'), len('{"id":"') + 32)  # every row begins with its id


@dataclass(frozen=True)
class Row:
    """A row as it stands in a stage's folder; its id is the one that it was written with."""

    id: str
    stage: Result
    record: Record


class Lineage:
    """The rows of a run's finished stages. Every look reads the files through; none is held in memory."""

    def __init__(self, outcome: Outcome) -> None:
        self._outcome = outcome

    @property
    def stages(self) -> list[Result]:
        """The finished stages, in order."""
        return list(self._outcome.results.values())

    def identify(self, prefix: str) -> str:
        """The one id that begins so. Raises ``ConfigError`` where there is none, or several."""
        found: set[str] = set()
        for result in self.stages:
            found |= {id for id, _ in self._lines(result) if id.startswith(prefix)}
        if len(found) == 1:
            return found.pop()
        if not found:
            raise ConfigError(
                f"{self._outcome.folder}: no row {prefix!r}; every line of a rows.jsonl begins with its id"
            )
        several = ", ".join(sorted(found)[:5])
        raise ConfigError(f"{self._outcome.folder}: {len(found)} rows begin with {prefix!r}, such as {several}")

    def first(self, ids: Collection[str]) -> dict[str, Row]:
        """Each id's row in the stage that made it, which is the first that has it."""
        found: dict[str, Row] = {}
        for result in self.stages:
            for id, line in self._lines(result):
                if id in ids and id not in found:
                    found[id] = Row(id, result, decode(line))
        return found

    def rows(self, id: str, result: Result) -> list[Row]:
        """The row of that id in a stage, kept or dropped, and those that name it as a parent."""
        named = id.encode()
        rows = (Row(own, result, decode(line)) for own, line in self._lines(result) if named in line)
        return [row for row in rows if row.id == id or id in row.record.parents]

    def calls(self, id: str, result: Result) -> list[str]:
        """The journal's keys of the replies that a stage made a row from, as far as it noted them."""
        path = self._outcome.folders[result.name] / REPLIES
        if not path.is_file():
            return []
        named = id.encode()
        with path.open("rb") as file:
            noted = [msgspec.json.decode(line, type=Replies) for line in file if named in line]
        return list(dict.fromkeys(key for one in noted if one.id == id for key in one.replies))

    def _lines(self, result: Result) -> Iterator[tuple[str, bytes]]:
        for name in (ROWS, DROPPED):
            path: Path = self._outcome.folders[result.name] / name
            if result.shape != "job" and path.is_file():
                with path.open("rb") as file:
                    for line in file:
                        yield line[_ID].decode(), line
