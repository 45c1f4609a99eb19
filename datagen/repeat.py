"""``repeat: N`` around a group of stages, unrolled.

Within round k, a name of the group means round k's stage where that stands above, and round k-1's where it stands below
(what the last round made); in the first round ``first: {name: other}`` says what stands for it. After the group a name
means the last round's.
"""

from __future__ import annotations

from typing import Any

from datagen.errors import ConfigError

_GROUP_KEYS = {"repeat", "stages", "first"}


def unroll(stages: dict[str, Any], where: str) -> dict[str, Any]:
    """The stages without groups, in order. Raises ``ConfigError``."""
    flat: dict[str, Any] = {}
    latest: dict[str, str] = {}
    for name, raw in stages.items():
        if isinstance(raw, dict) and "repeat" in raw:
            _unroll_group(f"{where}: stages.{name}", raw, flat, latest)
        else:
            flat[name] = _renamed(raw, latest)
    return flat


def _unroll_group(where: str, group: dict[str, Any], flat: dict[str, Any], latest: dict[str, str]) -> None:
    times, inner, first = group["repeat"], group.get("stages"), group.get("first") or {}
    if unknown := set(group) - _GROUP_KEYS:
        raise ConfigError(
            f"{where}: unknown key {sorted(unknown)[0]!r}; a group takes: {', '.join(sorted(_GROUP_KEYS))}"
        )
    if not isinstance(times, int) or times < 1 or not isinstance(inner, dict) or not inner:
        raise ConfigError(f"{where}: needs 'repeat: N' with N >= 1, and 'stages'")
    latest.update(first)
    for turn in range(1, times + 1):
        for name, raw in inner.items():
            flat[f"{name}@{turn}"] = _renamed(raw, latest)
            latest[name] = f"{name}@{turn}"


def _renamed(value: Any, latest: dict[str, str]) -> Any:
    """``value`` with every string (and mapping key under ``from``) that names a group's stage replaced."""
    if isinstance(value, str):
        stage, dot, part = value.partition(".")
        return f"{latest[stage]}{dot}{part}" if stage in latest else value
    if isinstance(value, list):
        return [_renamed(item, latest) for item in value]
    if isinstance(value, dict):
        return {
            key: {_renamed(k, latest): v for k, v in item.items()}
            if key == "from" and isinstance(item, dict)
            else _renamed(item, latest)
            for key, item in value.items()
        }
    return value
