"""What a stage reads: stored rows, counted as they are taken."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

from datagen.record import Record
from datagen.store import StoredRows


@dataclass
class Taken:
    """The rows that a stage has taken, the last of them, and how many are done where it works on each by itself."""

    read: int = 0
    done: int = 0
    last: Record | None = None


class Input:
    """Stored rows that are counted as they are read."""

    def __init__(self, rows: StoredRows, taken: Taken) -> None:
        self._rows = rows
        self._taken = taken

    def __iter__(self) -> Iterator[Record]:
        for record in self._rows:
            self._taken.read += 1
            self._taken.last = record
            yield record

    def __len__(self) -> int:
        return len(self._rows)


class Chain:
    """Several inputs, one after the other."""

    def __init__(self, inputs: Mapping[str, Input]) -> None:
        self._inputs = inputs

    def __iter__(self) -> Iterator[Record]:
        for one in self._inputs.values():
            yield from one

    def __len__(self) -> int:
        return sum(map(len, self._inputs.values()))
