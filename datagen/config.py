"""A pipeline file, checked: every name, key and value, before any work.

Top level: ``name``, ``seed``, ``llms``, ``stages``. A stage has ``use``, ``from`` and its function's own arguments;
``repeat: N`` with ``stages:`` unrolls a group into ``name@1..N``.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
import yaml

from datagen import assets, prompts
from datagen.errors import ConfigError
from datagen.llm.base import Sampling
from datagen.plugins import Stage, check_arguments, load_backend, load_stage, parameters
from datagen.repeat import unroll

_TOP_KEYS = ("name", "seed", "llms", "stages")
_NAME = re.compile(r"[A-Za-z][\w-]*(@\d+)?")


@dataclass(frozen=True)
class Entry:
    """One LLM entry: the back end, its checked arguments, its prompt pack and its sampling."""

    name: str
    use: str
    arguments: dict[str, Any]
    prompts: str = ""
    sampling: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Input:
    """The rows of an earlier stage, or the part of them whose label ``split`` has that value."""

    stage: str
    part: str = ""


@dataclass(frozen=True)
class Node:
    """One stage of a pipeline with checked arguments; names of other stages are still names."""

    name: str
    stage: Stage
    inputs: tuple[Input, ...]
    arguments: dict[str, Any]


@dataclass(frozen=True)
class Pipeline:
    """A checked pipeline, in the order of its file; ``resolved`` is the file with all overrides."""

    name: str
    seed: int
    llms: dict[str, Entry]
    nodes: tuple[Node, ...]
    resolved: dict[str, Any]


def load(path: str, overrides: Mapping[str, Any] | None = None) -> Pipeline:
    """The pipeline of a file (or of a shipped one, by name). Raises ``ConfigError``."""
    found = assets.find(path, assets.folder("pipelines"))
    if found is None and not path.endswith((".yaml", ".yml")):
        found = assets.find(f"{path}.yaml", assets.folder("pipelines"))
    if found is None or found.is_dir():
        shipped = ", ".join(sorted(p.stem for p in assets.folder("pipelines").glob("*.yaml")))
        raise ConfigError(f"no pipeline file {path!r}; shipped ones: {shipped}")
    try:
        document = yaml.safe_load(found.read_text(encoding="utf-8"))
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        raise ConfigError(f"{found}: not valid YAML: {error}") from error
    return build(document, overrides, where=str(found), base=found.parent)


def build(
    document: Any, overrides: Mapping[str, Any] | None = None, *, where: str = "pipeline", base: Path | None = None
) -> Pipeline:
    """The pipeline that a parsed file describes. Raises ``ConfigError``."""
    if not isinstance(document, dict) or not isinstance(document.get("stages"), dict) or not document["stages"]:
        raise ConfigError(f"{where}: needs a mapping with 'stages'")
    document = copy.deepcopy(document)
    for dotted, value in (overrides or {}).items():
        _override(document, dotted, value, where)
    if unknown := [key for key in document if key not in _TOP_KEYS]:
        raise ConfigError(f"{where}: unknown key {unknown[0]!r}; allowed: {', '.join(_TOP_KEYS)}")
    return _Builder(document, where, base or Path()).pipeline()


def parse_overrides(words: list[str]) -> dict[str, Any]:
    """``["stages.tasks.count=500"]`` as a mapping; values are YAML. Raises ``ConfigError``."""
    parsed = {}
    for word in words:
        dotted, equals, value = word.partition("=")
        if not equals or not dotted:
            raise ConfigError(f"{word!r} is not an override; write key=value, such as stages.tasks.count=500")
        try:
            parsed[dotted] = yaml.safe_load(value)
        except yaml.YAMLError as error:
            raise ConfigError(f"{word!r}: the value is not valid YAML: {error}") from error
    return parsed


def _override(document: dict[str, Any], dotted: str, value: Any, where: str) -> None:
    *parents, last = dotted.split(".")
    target: Any = document
    for depth, parent in enumerate(parents):
        if not isinstance(target, dict) or (parent not in target and depth != 0):
            known = ", ".join(map(str, target)) if isinstance(target, dict) else "nothing below it"
            raise ConfigError(f"{where}: override {dotted}: no {'.'.join(parents[: depth + 1])!r}; there are: {known}")
        target = target.setdefault(parent, {})
    if not isinstance(target, dict):
        raise ConfigError(f"{where}: override {dotted}: {'.'.join(parents)} is not a mapping")
    target[last] = value


class _Builder:
    """Builds the nodes in file order, so that every reference points upwards."""

    def __init__(self, document: dict[str, Any], where: str, base: Path) -> None:
        self.document = document
        self.where = where
        self.base = base
        self.llms: dict[str, Entry] = {}
        self.nodes: dict[str, Node] = {}

    def pipeline(self) -> Pipeline:
        name = str(self.document.get("name") or Path(self.where).stem)
        if not _NAME.fullmatch(name):
            raise ConfigError(f"{self.where}: name {name!r}: use letters, digits, '_' and '-'")
        seed = self.document.get("seed", 0)
        if not isinstance(seed, int):
            raise ConfigError(f"{self.where}: seed must be a whole number, not {seed!r}")
        for entry_name, raw in (self.document.get("llms") or {}).items():
            self.llms[entry_name] = self._entry(f"{self.where}: llms.{entry_name}", entry_name, raw, later=True)
        for stage_name, raw in unroll(self.document["stages"], self.where).items():
            self._add(stage_name, raw)
        self._check_models()
        return Pipeline(name, seed, self.llms, tuple(self.nodes.values()), self.document)

    def _entry(self, where: str, name: str, raw: Any, *, later: bool = False) -> Entry:
        if not isinstance(raw, dict) or "use" not in raw:
            raise ConfigError(
                f"{where}: needs a mapping with 'use', such as {{use: openai, base_url: ..., model: ...}}"
            )
        raw = dict(raw)
        use, pack, sampling = raw.pop("use"), raw.pop("prompts", ""), raw.pop("sampling", {})
        try:
            msgspec.convert(sampling, Sampling)
        except msgspec.ValidationError as error:
            raise ConfigError(f"{where}: sampling: {error}") from error
        function = load_backend(use)
        arguments = check_arguments(where, parameters(function), raw)
        for parameter in parameters(function).values():
            if parameter.kind == "path" and arguments[parameter.name] is not None:
                arguments[parameter.name] = self._file(f"{where}: {parameter.name}", arguments[parameter.name])
        return Entry(name, use, arguments, pack or "", sampling)

    def _add(self, name: str, raw: Any) -> None:
        where = f"{self.where}: stages.{name}"
        if not isinstance(raw, dict) or not isinstance(raw.get("use"), str):
            raise ConfigError(f"{where}: needs a mapping with 'use', such as {{use: filters.length}}")
        if not _NAME.fullmatch(name) or name in self.llms or name in self.nodes:
            raise ConfigError(
                f"{where}: not a usable name (letters, digits, '_', '-'; unlike any LLM's and any other stage's)"
            )
        raw = dict(raw)
        try:
            stage = load_stage(raw.pop("use"))
        except ConfigError as error:
            raise ConfigError(f"{where}: {error}") from error
        inputs = self._inputs(where, stage, raw)
        arguments = check_arguments(where, stage.parameters, raw_llms(raw, stage))
        for parameter in stage.parameters.values():
            value = raw.get(parameter.name, arguments.get(parameter.name))
            if parameter.kind != "rng" and value is not None:
                arguments[parameter.name] = self._resolve(where, name, stage, parameter.name, value)
        self.nodes[name] = Node(name, stage, inputs, arguments)
        self._check_prompts(where, self.nodes[name])

    def _inputs(self, where: str, stage: Stage, raw: dict[str, Any]) -> tuple[Input, ...]:
        given = raw.pop("from", None)
        if stage.shape == "source":
            if given is not None:
                raise ConfigError(f"{where}: {stage.name} reads no rows; it takes no 'from'")
            return ()
        if isinstance(given, dict):
            if "shares" not in stage.parameters:
                raise ConfigError(f"{where}: 'from' with shares is for mixtures; {stage.name} takes a name or a list")
            raw["shares"] = {str(key): value for key, value in given.items()}
            given = list(given)
        if given is None:
            above = [node.name for node in self.nodes.values() if node.stage.shape != "job"]
            if not above:
                raise ConfigError(f"{where}: nothing above it makes rows; begin with a source, such as sources.jsonl")
            given = above[-1]
        names = given if isinstance(given, list) else [given]
        return tuple(self._input(f"{where}: from", str(name)) for name in names)

    def _input(self, where: str, name: str) -> Input:
        stage, _, part = name.partition(".")
        if stage in self.nodes:
            if self.nodes[stage].stage.shape == "job":
                raise ConfigError(f"{where}: {stage!r} makes no rows")
            return Input(stage, part)
        if (path := assets.find(name, self.base)) is not None:
            return Input(self._implicit_source(path))
        known = ", ".join(n.name for n in self.nodes.values() if n.stage.shape != "job")
        raise ConfigError(f"{where}: {name!r} is neither a stage above ({known or 'none'}) nor a file")

    def _implicit_source(self, path: Path) -> str:
        stem = re.sub(r"\W+", "_", path.stem)
        name = next(n for n in (f"{stem}{i or ''}" for i in range(1000)) if self._is_free(n, path))
        if name not in self.nodes:
            stage = load_stage("sources.jsonl")
            arguments = check_arguments(str(path), stage.parameters, {"path": str(path)})
            self.nodes[name] = Node(name, stage, (), arguments)
        return name

    def _is_free(self, name: str, path: Path) -> bool:
        node = self.nodes.get(name)
        same_file = node is not None and node.stage.name == "sources.jsonl" and node.arguments["path"] == str(path)
        taken = name in self.document["stages"] or name in self.llms
        return not taken and (node is None or same_file)

    def _resolve(self, where: str, name: str, stage: Stage, key: str, value: Any) -> Any:
        where = f"{where}: {key}"
        kind = stage.parameters[key].kind
        if kind == "llm":
            return self._llm(where, f"{name}-{key}", value)
        if kind == "rows":
            return self._input(where, str(value))
        if kind == "path":
            return self._file(where, value)
        if kind == "prompt":
            return value if "/" in value or value.endswith(".j2") else f"{stage.method}/{value}"
        return msgspec.convert(value, str) if kind == "model" else self._plain(stage, key, value)

    def _plain(self, stage: Stage, key: str, value: Any) -> Any:
        return msgspec.to_builtins(msgspec.convert(value, stage.parameters[key].annotation))

    def _llm(self, where: str, entry: str, value: Any) -> str:
        if isinstance(value, dict):
            self.llms[entry] = self._entry(where, entry, value)
            return entry
        if value in self.llms:
            return str(value)
        if value in self.nodes and self.nodes[value].stage.shape == "job":
            self.llms[value] = self._entry(where, value, {"use": "transformers", "model": value})
            return str(value)
        known = ", ".join([*self.llms, *(n.name for n in self.nodes.values() if n.stage.shape == "job")])
        raise ConfigError(f"{where}: no LLM {value!r}; there are: {known or 'none (add one under llms)'}")

    def _file(self, where: str, value: Any) -> str:
        found = assets.find(str(value), self.base)
        if found is None:
            raise ConfigError(
                f"{where}: no file {str(value)!r} in {Path.cwd()}, beside the pipeline, or among the shipped files"
            )
        return str(found)

    def _check_prompts(self, where: str, node: Node) -> None:
        """Every prompt loads under every LLM's pack."""
        packs = {
            self.llms[node.arguments[p.name]].prompts
            for p in node.stage.parameters.values()
            if p.kind == "llm" and node.arguments.get(p.name)
        }
        for parameter in node.stage.parameters.values():
            if parameter.kind == "prompt" and node.arguments[parameter.name]:
                for pack in packs or {""}:
                    try:
                        prompts.load(node.arguments[parameter.name], pack)
                    except ConfigError as error:
                        raise ConfigError(f"{where}: {parameter.name}: {error}") from error

    def _check_models(self) -> None:
        """An LLM entry may name a stage as its model; that stage must train one."""
        for entry in self.llms.values():
            model = entry.arguments.get("model")
            if model in self.nodes and self.nodes[model].stage.shape != "job":
                raise ConfigError(f"{self.where}: llms.{entry.name}: {model!r} is a stage that trains no model")


def raw_llms(raw: dict[str, Any], stage: Stage) -> dict[str, Any]:
    """The arguments with inline LLM entries stood in for by a name, so that they pass as strings."""
    return {
        key: "inline"
        if isinstance(value, dict) and key in stage.parameters and stage.parameters[key].kind == "llm"
        else value
        for key, value in raw.items()
    }
