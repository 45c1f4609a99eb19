"""Mix sources by share: drawn without replacement unless told, shuffled, each row labelled with where it came from."""

from __future__ import annotations

import logging
import random
from collections.abc import Iterator, Mapping

from datagen.errors import ConfigError
from datagen.record import Record
from datagen.stage import Rows

logger = logging.getLogger("datagen")


def blend(
    sources: Mapping[str, Rows],
    *,
    shares: dict[str, float] | None = None,
    size: int | None = None,
    rng: random.Random,
    repeat: bool = False,
) -> Iterator[Record]:
    """``size`` rows, ``shares`` of them from each source (weights; by default the sources' lengths).

    Without ``size``: the largest mixture in which the shares hold and nothing is repeated. A source too small for its
    share gives all it has, and the log says so, or with ``repeat`` is gone through again; no row is drawn once more
    before all others were. Holds the mixture. The label ``mixture`` names a row's source.
    """
    lengths = {name: len(rows) for name, rows in sources.items()}
    wanted = _wanted(lengths, shares, size)
    drawn: list[Record] = []
    for name, rows in sources.items():
        drawn.extend(_draw(name, rows, _capped(name, wanted[name], lengths[name], repeat), rng))
    rng.shuffle(drawn)
    yield from drawn


def _wanted(lengths: dict[str, int], shares: dict[str, float] | None, size: int | None) -> dict[str, int]:
    """Rows to draw from each source; rounding goes to the largest remainders, so that the sum is exact."""
    weights = {name: float(length) for name, length in lengths.items()} if shares is None else shares
    if unknown := set(weights) - set(lengths):
        raise ConfigError(f"blend: shares: {sorted(unknown)[0]!r} is no source; allowed: {', '.join(lengths)}")
    if any(not 0 <= weight < float("inf") for weight in weights.values()):
        raise ConfigError("blend: shares: must be numbers that are not negative")
    total = sum(weights.values())
    if total == 0:
        return dict.fromkeys(lengths, 0)
    parts = {name: weights.get(name, 0.0) / total for name in lengths}
    if size is None:
        size = min(int(lengths[name] / part + 1e-9) for name, part in parts.items() if part)
    wanted = {name: int(part * size + 1e-9) for name, part in parts.items()}
    by_remainder = sorted(
        (name for name, part in parts.items() if part), key=lambda name: wanted[name] - parts[name] * size
    )
    for name in by_remainder[: size - sum(wanted.values())]:
        wanted[name] += 1
    return wanted


def _capped(name: str, wanted: int, there: int, repeat: bool) -> int:
    if wanted <= there:
        return wanted
    if repeat and there:
        logger.warning("blend: %s: %d rows wanted, %d there: rows are repeated", name, wanted, there)
        return wanted
    logger.warning("blend: %s: %d rows wanted, %d there: it gives all it has", name, wanted, there)
    return there


def _draw(name: str, rows: Rows, number: int, rng: random.Random) -> Iterator[Record]:
    there = len(rows)
    times, rest = divmod(number, there) if there else (0, 0)
    extra = set(rng.sample(range(there), rest))
    for at, record in enumerate(rows):
        for _ in range(times + (at in extra)):
            yield record.labelled(mixture=name)
