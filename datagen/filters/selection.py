"""What the filters that go by a number share: a limit or the best share, the distribution, and a control by chance."""

from __future__ import annotations

import logging
import random
from array import array
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import msgspec

from datagen import aside, findings
from datagen.errors import ConfigError
from datagen.record import Record

logger = logging.getLogger("datagen")
CONTROL = "random"


@dataclass(frozen=True)
class Limits:
    """Bounds, inclusive, and of the rows within them the greatest: a share of all, after the share ``skip`` of all."""

    least: float | None = None
    most: float | None = None
    share: float | None = None
    skip: float = 0.0


def check_share(where: str, share: float | None) -> None:
    """Raises ``ConfigError`` for a share that is none."""
    if share is not None and not 0 < share <= 1:
        raise ConfigError(f"{where}: {share} is not a share above 0 and at most 1")


def check_one_limit(stage: str, **limits: float | None) -> None:
    """Raises ``ConfigError`` for two limits of which one has to be chosen."""
    if len([value for value in limits.values() if value is not None]) > 1:
        raise ConfigError(f"{stage}: {' and '.join(limits)}: give one of them")


class Selection:
    """One stage's choice by a number of each row; rows go in with ``take``, and what waited comes with ``rest``.

    Bounds are applied as rows come; a share holds all rows, is one of those that have a number, and gives ties to the
    earlier row. With ``rng`` as many random rows as were kept, of all that have an answer or a number, are put beside
    them, as ``from: NAME.random`` (AlpaGasus's control); for that all rows are held, too.
    """

    def __init__(self, stage: str, limits: Limits, rng: random.Random | None, *, number: str = "score") -> None:
        self._stage, self._number, self._limits, self._rng = stage, number, limits, rng
        self._held: list[tuple[Record, float | None]] = []
        self._pool: list[Record] | None = [] if rng is not None and aside.is_heard() else None
        self._kept = 0
        self.distribution = Distribution()

    def take(self, record: Record, value: float | None) -> list[Record]:
        """Rows that are decided. A row without a number (None) is let through as it is."""
        if value is not None:
            self.distribution.add(value)
        if self._pool is not None and (record.answers or value is not None):
            self._pool.append(record)
        if self._limits.share is not None:
            self._held.append((record, value))
            return []
        return [self._bounded(record, value)]

    def rest(self) -> Iterator[Record]:
        """The rows that waited for the others; then the control is written."""
        if self._limits.share is not None:
            yield from self._ranked(self._limits.share)
        if self._rng is not None and self._pool is not None:
            drawn = sorted(self._rng.sample(range(len(self._pool)), self._kept))
            for at in drawn:
                aside.put(CONTROL, msgspec.structs.replace(self._pool[at], dropped=None))

    def _ranked(self, share: float) -> Iterator[Record]:
        values = [value for _, value in self._held]
        ranked = sorted((-one, at) for at, one in enumerate(values) if one is not None and self._is_within(one))
        known = sum(value is not None for value in values)
        start = min(round(self._limits.skip * known), known - 1)  # of a few rows as well one is kept
        window = ranked[start : start + max(1, round(share * known))]
        kept = {at for _, at in window}
        for at, (record, value) in enumerate(self._held):
            if value is None or at in kept or not self._is_within(value):
                yield self._bounded(record, value)
            else:
                place = "high" if (-value, at) < window[0] else "low"
                bound = -window[0 if place == "high" else -1][0]
                yield self._dropped(record, place, value, bound, share=share)

    def _bounded(self, record: Record, value: float | None) -> Record:
        if value is None:
            return record
        if self._limits.least is not None and value < self._limits.least:
            return self._dropped(record, "low", value, self._limits.least)
        if self._limits.most is not None and value > self._limits.most:
            return self._dropped(record, "high", value, self._limits.most)
        self._kept += 1
        return record

    def _is_within(self, value: float) -> bool:
        least, most = self._limits.least, self._limits.most
        return (least is None or value >= least) and (most is None or value <= most)

    def _dropped(self, record: Record, place: str, value: float, bound: float, **evidence: Any) -> Record:
        side = "min" if place == "low" else "max"
        evidence = {self._number: value, f"{side}_{self._number}": bound, **evidence}
        return record.drop(f"{self._stage}:{place}_{self._number}", **evidence)


class Distribution:
    """The numbers that a stage gave its rows, for its ``stage.json`` and the log: how a bound is chosen."""

    def __init__(self) -> None:
        self._values = array("d")

    def add(self, value: float) -> None:
        """One row's number."""
        self._values.append(value)

    def histogram(self, *, best: float = 5.0) -> dict[str, int]:
        """Rows at each half point from 0 to ``best``, to the nearest."""
        counts = Counter(round(value * 2) for value in self._values)
        return {f"{half / 2:g}": counts[half] for half in range(round(best * 2) + 1)}

    def deciles(self) -> dict[str, float]:
        """The number that each tenth of the rows stays below; the 0 % and 100 % are the least and the greatest."""
        ranked = sorted(self._values)
        return {f"{tenth * 10} %": _significant(_quantile(ranked, tenth / 10)) for tenth in range(11)} if ranked else {}


def report(stage: str, **tables: dict[str, Any]) -> None:
    """Note distributions under their names, and log them."""
    findings.report({name: table for name, table in tables.items() if table})
    for name, table in tables.items():
        said = ", ".join(f"{key}: {value:g}" for key, value in table.items() if value)
        logger.info("%s: %s: %s", stage, name.replace("_", " "), said or "no row has one")


def _quantile(ranked: Sequence[float], share: float) -> float:
    return ranked[round(share * (len(ranked) - 1))]


def _significant(value: float) -> float:
    return float(f"{value:.5g}")
