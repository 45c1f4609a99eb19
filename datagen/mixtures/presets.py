"""Mixtures of published systems: the settings of ``blend`` under a name, as small YAML files in ``seeds/mixtures``.

They lie beside ``seeds/rules`` and ``seeds/benchmarks``: data that a stage reads, no pipelines, since the sources are
the user's to fetch.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import msgspec

from datagen import assets
from datagen.document import read
from datagen.errors import ConfigError


class Preset(msgspec.Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    """Settings of ``blend``."""

    shares: dict[str, float] | None = None
    counts: dict[str, int | str] | None = None
    temperature: float | None = None
    caps: int | dict[str, int] | None = None
    rate_max: int | None = None


def settings(name: str) -> dict[str, Any]:
    """What a preset's name, or a YAML file of one's own, stands for. Raises ``ConfigError``."""
    shipped = assets.folder("seeds") / "mixtures" / f"{name}.yaml"
    path = shipped if shipped.is_file() else assets.find(name)
    if path is None or not path.is_file():
        there = ", ".join(sorted(one.stem for one in shipped.parent.glob("*.yaml")))
        raise ConfigError(f"blend: preset: no {name!r}; there are: {there}; or name a YAML file")
    return _settings(path)


def _settings(path: Path) -> dict[str, Any]:
    try:
        preset = msgspec.convert(read(path), Preset)
    except msgspec.ValidationError as error:
        raise ConfigError(f"blend: preset: {path}: {error}") from error
    found: dict[str, Any] = msgspec.to_builtins(preset)
    return found
