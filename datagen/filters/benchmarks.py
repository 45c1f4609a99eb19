"""What the decontaminating filters share: the items of benchmarks, the evidence against a row, the report."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from typing import Any, NamedTuple

from datagen import findings
from datagen.record import Record
from datagen.stage import NamedRows, Rows
from datagen.text.words import scoped


class Item(NamedTuple):
    """A prompt of a benchmark, its inputs and earlier turns included, and its place there, from 0."""

    benchmark: str
    number: int
    text: str

    @property
    def evidence(self) -> dict[str, Any]:
        """What a row that it is found in says of it."""
        return {"benchmark": self.benchmark, "item": self.text, "number": self.number}


def items(against: NamedRows | Rows) -> list[Item]:
    """All items, in order. Rows without a name go by their source."""
    if isinstance(against, Mapping):
        return [
            Item(name, number, scoped(record, "instruction"))
            for name, rows in against.items()
            for number, record in enumerate(rows)
        ]
    return [
        Item(record.source or "benchmark", number, scoped(record, "instruction"))
        for number, record in enumerate(against)
    ]


class Tally:
    """Rows dropped by benchmark and method, and how many of a benchmark's items they hit."""

    def __init__(self, known: list[Item], stage: str) -> None:
        self._stage = stage
        self._sizes = Counter(item.benchmark for item in known)
        self._hit: dict[str, set[int]] = {name: set() for name in self._sizes}
        self._rows: dict[str, Counter[str]] = {name: Counter() for name in self._sizes}

    def dropped(self, record: Record, why: str, item: Item, **evidence: Any) -> Record:
        """The record, dropped for an item that it leaks, and counted."""
        self._hit[item.benchmark].add(item.number)
        self._rows[item.benchmark][why] += 1
        return record.drop(f"{self._stage}:{why}", **item.evidence, **evidence)

    def report(self) -> None:
        """Tell the run: a line for each benchmark."""
        methods = sorted({why for found in self._rows.values() for why in found})
        findings.report(
            {
                name: {
                    "items": size,
                    "items hit": len(self._hit[name]),
                    "rows dropped": self._rows[name].total(),
                    **{why: self._rows[name][why] for why in methods},
                }
                for name, size in self._sizes.items()
            }
        )
