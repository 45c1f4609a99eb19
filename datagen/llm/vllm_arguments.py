"""The names of the installed vLLM's engine arguments, read from its source: to import it takes ten seconds."""

from __future__ import annotations

import ast
import functools
import importlib.util
from pathlib import Path

from datagen.errors import ConfigError

_CLASSES = ("EngineArgs", "AsyncEngineArgs")


@functools.cache
def argument_names() -> frozenset[str]:
    """What ``AsyncEngineArgs`` takes, ``model`` aside. Raises ``ConfigError`` where vLLM is not installed."""
    found = importlib.util.find_spec("vllm")
    if found is None or found.origin is None:  # a folder of that name, which Python would take for a package
        raise ConfigError("use: vllm: vLLM is not installed; run: pip install 'datagen[vllm]'")
    source = Path(found.origin).parent / "engine" / "arg_utils.py"
    try:
        classes = [one for one in ast.parse(source.read_bytes()).body if isinstance(one, ast.ClassDef)]
    except (OSError, SyntaxError) as error:
        raise ConfigError(f"use: vllm: this is no vLLM that datagen knows: {error}") from error
    fields = [
        line.target for one in classes if one.name in _CLASSES for line in one.body if isinstance(line, ast.AnnAssign)
    ]
    names = {field.id for field in fields if isinstance(field, ast.Name) and not field.id.startswith("_")}
    return frozenset(names - {"model"})
