"""Generate instruction data with LLMs, filter and mix it, and train on it.

``datagen.run("pipelines/quickstart.yaml", {"stages.tasks.count": 500})`` is what the command line does. A stage is an
ordinary function: ``from datagen.filters.length import length``.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from datagen.errors import ConfigError, DataError, DatagenError, LLMError, StageError

if TYPE_CHECKING:
    from datagen.api import load, open_llm, read, run
    from datagen.record import Answer, Message, Record

__version__ = "0.1.0"
__all__ = [
    "Answer",
    "ConfigError",
    "DataError",
    "DatagenError",
    "LLMError",
    "Message",
    "Record",
    "StageError",
    "load",
    "open_llm",
    "read",
    "run",
]

_HOME = {
    "Answer": "record",
    "Message": "record",
    "Record": "record",
    "load": "api",
    "open_llm": "api",
    "read": "api",
    "run": "api",
}


def __getattr__(name: str) -> object:
    """Import on first use, so that ``datagen --help`` stays fast."""
    import importlib

    if name not in _HOME:
        raise AttributeError(f"module 'datagen' has no attribute {name!r}")
    return getattr(importlib.import_module(f"datagen.{_HOME[name]}"), name)
