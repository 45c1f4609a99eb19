"""``repeat: N`` around a group of stages, unrolled.

Within round k, a name of the group means round k's stage where that stands above, and round k-1's where it stands below
(what the last round made); in the first round ``first: {name: other}`` says what stands for it. After the group a name
means the last round's.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from datagen.errors import ConfigError

_GROUP_KEYS = ("repeat", "stages", "first")


@dataclass(frozen=True)
class Placed:
    """One stage of the unrolled file; ``means`` says what the names of groups stand for where it stands."""

    name: str
    raw: Any
    means: Mapping[str, str]


def unroll(stages: dict[str, Any], where: str) -> Iterator[Placed]:
    """The stages without groups, in order. Raises ``ConfigError``."""
    means: dict[str, str] = {}
    for name, raw in stages.items():
        if isinstance(raw, dict) and "repeat" in raw:
            yield from _rounds(f"{where}: stages.{name}", raw, means)
        else:
            yield Placed(name, raw, dict(means))


def _rounds(where: str, group: dict[str, Any], means: dict[str, str]) -> Iterator[Placed]:
    times, inner, first = group["repeat"], group.get("stages"), group.get("first") or {}
    if unknown := [key for key in group if key not in _GROUP_KEYS]:
        raise ConfigError(f"{where}: unknown key {unknown[0]!r}; a group takes: {', '.join(_GROUP_KEYS)}")
    if not isinstance(times, int) or times < 1 or not isinstance(inner, dict) or not inner:
        raise ConfigError(f"{where}: needs 'repeat: N' with N >= 1, and 'stages'")
    if not isinstance(first, dict) or any(name not in inner for name in first):
        raise ConfigError(f"{where}: first: takes names of the group ({', '.join(inner)}) and what stands for them")
    means.update({name: means.get(other, other) for name, other in first.items()})
    for turn in range(1, times + 1):
        for name, raw in inner.items():
            yield Placed(f"{name}@{turn}", raw, dict(means))
            means[name] = f"{name}@{turn}"
