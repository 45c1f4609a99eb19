"""``datagen serve``: a real server for a model: vLLM where it is installed, else transformers' own."""

from __future__ import annotations

import importlib.util
import json
import sys
from pathlib import Path

from datagen.errors import ConfigError
from datagen.llm import models

_TRANSFORMERS_NEEDS = ("transformers", "fastapi", "uvicorn", "openai", "pydantic")


def find_model(name: str, root: Path) -> str:
    """The folder of a stage's model (``quickstart.sft``), or what any model's name means. Raises ``ConfigError``."""
    run, dot, stage = name.rpartition(".")
    index = root / run / "run.json"
    if not dot or not index.is_file():
        return models.resolve(name)
    stages = json.loads(index.read_text())["stages"]
    if stage not in stages:
        raise ConfigError(f"serve {name}: {root / run} has no stage {stage!r}; there are: {', '.join(stages)}")
    folder = root / run / stages[stage] / "model"
    if not (folder / "config.json").is_file():
        raise ConfigError(f"serve {name}: {stage} has made no model (yet): {folder} is not there")
    return str(folder.resolve())


def command(model: str, name: str, *, host: str, port: int, extra: list[str]) -> tuple[str, list[str]]:
    """Which server there is, and the command that starts it. Raises ``ConfigError`` where there is none.

    ``extra`` is handed on to the server. transformers' server knows a model by its path, vLLM by ``name``.
    """
    at = ["--host", host, "--port", str(port)]
    if _is_installed("vllm"):
        module = [sys.executable, "-m", "vllm.entrypoints.openai.api_server"]
        return "vLLM", [*module, "--model", model, "--served-model-name", name, *at, *extra]
    if all(map(_is_installed, _TRANSFORMERS_NEEDS)):
        return "transformers", [sys.executable, "-m", "transformers.cli.transformers", "serve", model, *at, *extra]
    raise ConfigError("serve: no server is installed: pip install vllm, or pip install 'transformers[serving]'")


def _is_installed(package: str) -> bool:
    """Whether it could be imported; a folder of that name, which Python would take for one, does not count."""
    found = importlib.util.find_spec(package)
    return found is not None and found.origin is not None
