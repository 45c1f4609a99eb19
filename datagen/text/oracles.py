"""Oracles: functions that know whether an answer is right, named as ``module:function`` in a pipeline file."""

from __future__ import annotations

import importlib
from collections.abc import Callable

from datagen.errors import ConfigError

Oracle = Callable[[str, str], "bool | None"]


def load_oracle(name: str) -> Oracle:
    """``(instruction, answer) -> right, wrong, or None`` where it cannot say. Raises ``ConfigError``."""
    module, _, function = name.partition(":")
    try:
        found = getattr(importlib.import_module(module), function)
    except (ModuleNotFoundError, AttributeError, ValueError) as error:
        raise ConfigError(f"oracle: no function {name!r} (module:function): {error}") from error
    if not callable(found):
        raise ConfigError(f"oracle: {name!r} is no function")
    oracle: Oracle = found
    return oracle
