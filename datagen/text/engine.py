"""What searches: machine code by numba (``pip install 'datagen[fast]'``), or what every installation has."""

from __future__ import annotations

import functools
import importlib.util
import logging
from typing import Literal

from datagen.errors import ConfigError

logger = logging.getLogger("datagen")

Near = tuple[int, float]
"""The index of what is near, and how similar it is."""
Engine = Literal["auto", "numba", "portable"]
"""``auto`` is numba where it is installed. The answers are the same."""


def numba_is_wanted(engine: Engine) -> bool:
    """Whether to search by numba. Raises ``ConfigError`` where it is asked for and not installed."""
    if engine == "numba" and not _there():
        raise ConfigError("engine: numba is not installed; pip install 'datagen[fast]'")
    return engine == "numba" or (engine == "auto" and _there())


@functools.cache
def _there() -> bool:
    there = importlib.util.find_spec("numba") is not None
    if not there:
        logger.info("similarity joins: without machine code; pip install 'datagen[fast]' makes large pools fast")
    return there
