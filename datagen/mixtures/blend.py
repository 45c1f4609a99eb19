"""Mix sources by share, count or temperature: drawn without replacement unless told, shuffled, each row labelled.

A temperature T weighs a source by its rows to the power 1/T, and a maximal rate bounds the rows that count, so that a
huge source does not drown the others: T5's mixing (arXiv 1910.10683), which FLAN took over (arXiv 2109.01652).
"""

from __future__ import annotations

import logging
import random
import re
from collections.abc import Hashable, Iterator, Mapping
from typing import Any, TypeVar

from datagen.errors import ConfigError
from datagen.mixtures import presets
from datagen.record import Record
from datagen.stage import Rows

K = TypeVar("K", bound=Hashable)

logger = logging.getLogger("datagen")

_PROPORTIONS = ("shares", "counts", "temperature", "caps", "rate_max")
_TIMES = re.compile(r"all|([1-9]\d*)x")
_EXCLUSIVE = [("counts", other) for other in ("shares", "size", "temperature", "rate_max")]
_EXCLUSIVE += [("shares", other) for other in ("temperature", "rate_max")]


def expanded(arguments: dict[str, Any]) -> dict[str, Any]:
    """The settings with those of the preset where none were given. Raises ``ConfigError``."""
    if arguments["preset"] is None:
        return arguments
    of_preset = presets.settings(arguments["preset"])
    given = {name for name in _PROPORTIONS if arguments[name] is not None}
    return {**arguments, **{name: value for name, value in of_preset.items() if name not in given}}


def check(arguments: dict[str, Any]) -> None:
    """Raises ``ConfigError`` for settings that contradict each other or that no mixture can have."""
    for one, other in _EXCLUSIVE:
        if arguments[one] is not None and arguments[other] is not None:
            raise ConfigError(f"blend: {one} and {other}: give one of them")
    caps = arguments["caps"]
    bounds = {"caps": caps} if isinstance(caps, int) else {f"caps: {name}": cap for name, cap in (caps or {}).items()}
    for name, count in (arguments["counts"] or {}).items():
        if isinstance(count, int):
            bounds[f"counts: {name}"] = count
        elif not _TIMES.fullmatch(count):
            raise ConfigError(f"blend: counts: {name}: {count!r} is neither a number nor all nor, say, 10x")
    bounds |= {name: arguments[name] for name in ("size", "rate_max") if arguments[name] is not None}
    for name, number in bounds.items():
        if number < 0:
            raise ConfigError(f"blend: {name}: {number} is negative")
    if any(not 0 <= weight < float("inf") for weight in (arguments["shares"] or {}).values()):
        raise ConfigError("blend: shares: must be numbers that are not negative")
    if arguments["shares"] and not any(arguments["shares"].values()):
        raise ConfigError("blend: shares: all are 0; at least one source must give rows")
    if arguments["temperature"] is not None and not arguments["temperature"] > 0:
        raise ConfigError(f"blend: temperature: {arguments['temperature']} is not above 0")


def blend(
    sources: Mapping[str, Rows],
    *,
    shares: dict[str, float] | None = None,
    counts: dict[str, int | str] | None = None,
    temperature: float | None = None,
    caps: int | dict[str, int] | None = None,
    rate_max: int | None = None,
    preset: str | None = None,
    size: int | None = None,
    stratify: str | None = None,
    allow_repeats: bool = False,
    rng: random.Random,
) -> Iterator[Record]:
    """``counts`` rows of each source, or ``size`` rows by ``shares`` (weights), or by the sources' lengths.

    A count is a number, ``all``, or ``10x``: all of it ten times. ``temperature`` flattens the lengths, ``rate_max``
    bounds what of a length counts, ``caps`` what any source, or each named one, gives. Without ``size``: the largest
    mixture in which the shares hold and nothing is repeated. A source too small for its share gives all it has, and the
    log says so, or with ``allow_repeats`` is gone through again: no row is drawn once more before all others were, and
    the label ``repeat`` counts its copies. ``stratify`` names a label whose values keep, in what is drawn of each
    source, the shares that they have there. ``preset`` stands for such settings, by the name of a published mixture
    (``seeds/mixtures``: flan, flan_v2, tulu, tulu_human, tulu_2, instructgpt) or a YAML file; what is given beside it
    goes over it, sources that it names and that are missing are left out, and the log says which. Holds the mixture.
    The label ``mixture`` is a row's source.
    """
    given = {"shares": shares, "counts": counts, "temperature": temperature, "caps": caps, "rate_max": rate_max}
    settings = expanded({**given, "size": size, "preset": preset})
    check(settings)
    lengths = {name: len(rows) for name, rows in sources.items()}
    if preset is not None:
        settings = _of_those_there(preset, settings, lengths)
    bounds = _bounds(lengths, settings["caps"])
    repeated = set(lengths) if allow_repeats else set()
    if (counts := settings["counts"]) is not None:
        _known(counts, lengths, "counts")
        wanted = {name: _number(counts.get(name, 0), there) for name, there in lengths.items()}
        repeated |= {name for name, count in counts.items() if isinstance(count, str)}
    else:
        weights = _weights(lengths, bounds, settings)
        wanted = allocated(weights, _largest(weights, lengths, bounds) if size is None else size)
    drawn: list[Record] = []
    for name, rows in sources.items():
        number = _given(name, wanted[name], lengths[name], bounds[name], name in repeated)
        drawn.extend(_draw(name, rows, number, rng, stratify))
    rng.shuffle(drawn)
    yield from drawn


def allocated(weights: Mapping[K, float], total: int) -> dict[K, int]:
    """``total`` parted by weights; rounding goes to the largest remainders, so that the sum is exact."""
    whole = sum(weights.values())
    if not whole:
        return dict.fromkeys(weights, 0)
    exact = {name: weight / whole * total for name, weight in weights.items()}
    parts = {name: int(one + 1e-9) for name, one in exact.items()}
    by_remainder = sorted((name for name in parts if weights[name]), key=lambda name: parts[name] - exact[name])
    for name in by_remainder[: total - sum(parts.values())]:
        parts[name] += 1
    return parts


def _bounds(lengths: dict[str, int], caps: int | dict[str, int] | None) -> dict[str, float]:
    """The most that each source may give."""
    if isinstance(caps, dict):
        _known(caps, lengths, "caps")
    most = dict.fromkeys(lengths, caps) if isinstance(caps, int) else (caps or {})
    return {name: float("inf") if (cap := most.get(name)) is None else cap for name in lengths}


def _weights(lengths: dict[str, int], bounds: dict[str, float], settings: Mapping[str, Any]) -> dict[str, float]:
    if (shares := settings["shares"]) is not None:
        _known(shares, lengths, "shares")
        return {name: shares.get(name, 0.0) for name in lengths}
    most = float("inf") if settings["rate_max"] is None else settings["rate_max"]
    rates = {name: float(min(there, bounds[name], most)) for name, there in lengths.items()}
    if (temperature := settings["temperature"]) is None:
        return rates
    largest = max(rates.values(), default=1.0) or 1.0  # powers of what is above 1 may be beyond a float
    return {name: (rate / largest) ** (1 / temperature) for name, rate in rates.items()}


def _number(count: int | str, there: int) -> int:
    if isinstance(count, int):
        return count
    times = _TIMES.fullmatch(count)
    assert times is not None, "check has seen it"
    return there * int(times[1] or 1)


def _of_those_there(preset: str, settings: dict[str, Any], lengths: dict[str, int]) -> dict[str, Any]:
    """The settings without sources that are not there. Raises ``ConfigError`` for a source that has no part in it."""
    key = "counts" if settings["counts"] is not None else "shares"
    named = settings[key]
    if named is None:
        return settings
    if others := [name for name in lengths if name not in named]:
        raise ConfigError(f"blend: preset {preset}: {others[0]!r} is none of its sources: {', '.join(named)}")
    if missing := [name for name in named if name not in lengths]:
        logger.warning("blend: preset %s: without %s, which are not there", preset, ", ".join(missing))
    return {**settings, key: {name: value for name, value in named.items() if name in lengths}}


def _largest(weights: dict[str, float], lengths: dict[str, int], bounds: dict[str, float]) -> int:
    """The rows of the largest mixture in which the weights hold and no source gives more than it has."""
    total = sum(weights.values())
    most = (min(lengths[name], bounds[name]) * total / weight for name, weight in weights.items() if weight)
    return int(min(most, default=0) + 1e-9)


def _known(given: Mapping[str, object], lengths: dict[str, int], key: str) -> None:
    if unknown := sorted(set(given) - set(lengths)):
        raise ConfigError(f"blend: {key}: {unknown[0]!r} is no source; allowed: {', '.join(lengths)}")


def _given(name: str, wanted: int, there: int, bound: float, allow_repeats: bool) -> int:
    if wanted > bound:
        logger.warning("blend: %s: %d rows wanted, its cap is %d", name, wanted, bound)
        wanted = int(bound)
    if wanted <= there:
        return wanted
    if allow_repeats and there:
        copies = wanted - there
        logger.warning("blend: %s: %d rows wanted, %d there: %d are repeats", name, wanted, there, copies)
        return wanted
    logger.warning("blend: %s: %d rows wanted, %d there: it gives all it has", name, wanted, there)
    return there


def _draw(name: str, rows: Rows, number: int, rng: random.Random, stratify: str | None) -> Iterator[Record]:
    there = len(rows)
    times, rest = divmod(number, there) if there else (0, 0)
    extra = _chosen(name, rows, rest, rng, stratify)
    for at, record in enumerate(rows):
        for copy in range(times + (at in extra)):
            yield record.labelled(mixture=name, **({"repeat": copy} if copy else {}))


def _chosen(name: str, rows: Rows, number: int, rng: random.Random, stratify: str | None) -> set[int]:
    if stratify is None or not len(rows):
        return set(rng.sample(range(len(rows)), number))
    strata: dict[str, list[int]] = {}
    for at, record in enumerate(rows):
        strata.setdefault(repr(record.labels.get(stratify)), []).append(at)
    if list(strata) == ["None"]:
        raise ConfigError(f"blend: stratify: no row of {name} has the label {stratify!r}")
    sizes = allocated({value: float(len(indices)) for value, indices in strata.items()}, number)
    return {at for value, indices in strata.items() for at in rng.sample(indices, sizes[value])}
