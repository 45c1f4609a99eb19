"""What made a stage: the key of its folder, so that a changed setting never reuses old rows."""

from __future__ import annotations

import ast
import functools
import hashlib
import importlib.util
import inspect
import json
import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from datagen import prompts
from datagen.llm import models
from datagen.pipeline import Entry, Input, Node, Pipeline, packs
from datagen.plugins import load_backend, operational, parameters

# How a back end is run, not what it answers.
_OPERATIONAL = {
    "concurrency",
    "timeout_s",
    "max_attempts",
    "requests_per_minute",
    "tokens_per_minute",
    "threads",
    "api_key_env",
    "headers",
    "max_batch_tokens",
    "latency_s",
    "max_requests",
    "max_file_mb",
    "quiet_s",
    "poll_s",
    "submitted",
}
_PACKAGE = Path(prompts.__file__).parent
_WHOLE_FILE_BYTES = 64 * 2**20


class Keys:
    """The keys of a pipeline's stages; each covers those of the stages above that it reads."""

    def __init__(self, pipeline: Pipeline) -> None:
        self.pipeline = pipeline
        self._keys: dict[str, str] = {}

    def of(self, node: Node) -> str:
        """Hash of a stage's code, arguments, prompts, LLMs, seed and inputs."""
        if node.name not in self._keys:
            made_of = {
                "name": node.name,
                "use": node.stage.name,
                "code": _code_digest(node),
                "seed": self.pipeline.seed,
                "inputs": [self._input(one) for one in node.inputs],
                "arguments": {
                    name: self._argument(node, name, parameter.kind)
                    for name, parameter in node.stage.parameters.items()
                    if parameter.kind != "rng"
                },
            }
            if chosen := node.stage.chosen_prompts(node.arguments):
                made_of["prompts"] = [self._prompt(node, name) for name in chosen]
            if node.on_failure == "keep":
                made_of["on_failure"] = node.on_failure
            text = json.dumps(made_of, sort_keys=True, default=_spelled)
            self._keys[node.name] = hashlib.sha256(text.encode()).hexdigest()
        return self._keys[node.name]

    def _input(self, given: Input) -> str:
        node = self.pipeline.node(given.stage)
        assert node is not None, f"{given.stage} is a stage above"
        return f"{self.of(node)}.{given.part}"

    def _argument(self, node: Node, name: str, kind: str) -> Any:
        value = node.arguments.get(name)
        if value is None:
            return None
        if kind == "llm":
            return self._entry(self.pipeline.llms[value])
        if kind == "rows":
            return self._input(value)
        if kind == "named_rows":
            return {name: self._input(one) for name, one in value.items()}
        if kind == "path":
            return _file_digest(Path(value))
        if kind == "model":
            return self._model(value)
        if kind == "prompt":
            return self._prompt(node, value)
        if kind == "function":
            return _function_digest(value)
        return value

    def _prompt(self, node: Node, name: str) -> list[list[str]]:
        return [prompts.digests(name, pack) for pack in packs(node, self.pipeline.llms)]

    def _entry(self, entry: Entry) -> Any:
        if entry.members:
            members = [[self._entry(self.pipeline.llms[name]), weight] for name, weight in entry.members.items()]
            return [entry.use, members]
        kinds = {name: one.kind for name, one in parameters(load_backend(entry.use)).items()}
        arguments = {
            name: self._model(value)
            if value is not None and kinds.get(name) == "model"
            else _file_digest(Path(value))
            if value is not None and kinds.get(name) == "path"
            else value
            for name, value in entry.arguments.items()
            if name not in _OPERATIONAL | operational(entry.use)
        }
        return [entry.use, arguments, entry.prompts, dict(entry.sampling)]

    def _model(self, name: str) -> str:
        if (node := self.pipeline.node(name)) is not None:
            return self.of(node)
        folder = Path(models.resolve(name))
        return _folder_digest(folder) if folder.is_dir() else name


def prompts_of(node: Node, llms: Mapping[str, Entry]) -> list[prompts.Prompt]:
    """The prompt files that a stage could ask its LLMs with."""
    named = [*node.given("prompt").values(), *node.stage.chosen_prompts(node.arguments)] if node.given("llm") else []
    found = [one for name in named for pack in packs(node, llms) for one in prompts.read_with(name, pack)]
    return [prompt for prompt in found if not prompt.skipped]


def _code_digest(node: Node) -> str:
    """The stage's file, and the files it leans on in its own folder, `datagen.text` and the judge."""
    source = inspect.getsourcefile(inspect.unwrap(node.stage.function))
    return _module_digest(node.stage.function.__module__, source)


def _function_digest(name: str) -> list[str]:
    """The name of a function, ``module:function``, and its code; the module is not imported."""
    module = name.partition(":")[0]
    try:
        spec = importlib.util.find_spec(module)
    except (ImportError, ValueError):
        spec = None
    return [name, _module_digest(module, spec.origin if spec else None)]


def _module_digest(module: str, source: str | None) -> str:
    if not source or not Path(source).is_file():
        return ""
    digests = [_file_digest(path) for path in _leans_on(module, Path(source))]
    return hashlib.sha256("".join(digests).encode()).hexdigest()


def _leans_on(module: str, source: Path) -> list[Path]:
    """The file of a stage and all that it imports, directly or not, where that is part of what the stage does."""
    shared = (f"{module.rpartition('.')[0]}.", "datagen.text.", "datagen.llm.judge")
    found, waiting = {source}, [source]
    while waiting:
        for name in _modules_named(waiting.pop()):
            path = _PACKAGE.parent.joinpath(*name.split(".")).with_suffix(".py")
            if name.startswith(shared) and path not in found and path.is_file():
                found.add(path)
                waiting.append(path)
    return sorted(found)


@functools.cache
def _modules_named(source: Path) -> frozenset[str]:
    """The modules of this package that a file imports, or names as a string to run in a process of their own."""
    names: set[str] = set()
    for found in ast.walk(ast.parse(source.read_bytes())):
        if isinstance(found, ast.ImportFrom) and found.module:
            names.update({found.module, *(f"{found.module}.{alias.name}" for alias in found.names)})
        elif isinstance(found, ast.Import):
            names.update(alias.name for alias in found.names)
        elif isinstance(found, ast.Constant) and isinstance(found.value, str):
            names.add(found.value)
    return frozenset(name for name in names if re.fullmatch(r"datagen(\.\w+)+", name))


def _file_digest(path: Path) -> str:
    if path.is_dir():
        return _folder_digest(path)
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _folder_digest(folder: Path) -> str:
    """Content of all files; of those over 64 MB, size and modification time."""
    digest = hashlib.sha256()
    for path in sorted(p for p in folder.rglob("*") if p.is_file()):
        status = path.stat()
        content = _file_digest(path) if status.st_size < _WHOLE_FILE_BYTES else f"{status.st_size}:{status.st_mtime_ns}"
        digest.update(f"{path.relative_to(folder)}\0{content}\0".encode())
    return digest.hexdigest()


def _spelled(value: Any) -> str:
    """A function, which only a Python caller can give, by its name."""
    return f"{value.__module__}.{value.__qualname__}" if callable(value) else str(value)
