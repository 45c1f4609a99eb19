"""What a name in a pipeline file means: an LLM entry, rows or a model of a stage above, a file."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import msgspec

from datagen import assets
from datagen.errors import ConfigError
from datagen.llm.base import Sampling
from datagen.llm.budget import Price
from datagen.pipeline import Entry, Input, Node
from datagen.plugins import TEAMS, check_arguments, check_backend, load_backend, load_stage, nearest, parameters

_ENTRY_KEYS = ("use", "prompts", "sampling", "price")


class References:
    """The LLM entries and the stages so far; ``means`` says what names of repeated groups stand for at this point."""

    def __init__(self, base: Path, stages: Sequence[str]) -> None:
        self.base = base
        self.stages = stages
        """Names of all stages of the file, also of those below."""
        self.llms: dict[str, Entry] = {}
        self.nodes: dict[str, Node] = {}
        self.means: Mapping[str, str] = {}

    def add_llm(self, where: str, name: str, raw: Any) -> None:
        """Check an LLM entry and add it. Raises ``ConfigError``."""
        if not isinstance(raw, dict) or not isinstance(raw.get("use"), str):
            raise ConfigError(
                f"{where}: needs a mapping with 'use', such as {{use: openai, base_url: ..., model: ...}}"
            )
        if raw["use"] in TEAMS:
            self.llms[name] = self._team(where, name, raw)
            return
        given = {str(key): value for key, value in raw.items() if key not in _ENTRY_KEYS}
        sampling, pack = raw.get("sampling") or {}, raw.get("prompts") or ""
        try:
            msgspec.convert(sampling, Sampling)
            allowed = parameters(load_backend(raw["use"]))
        except msgspec.ValidationError as error:
            raise ConfigError(f"{where}: sampling: {error}") from error
        except ConfigError as error:
            raise ConfigError(f"{where}: {error}") from error
        arguments = check_arguments(where, allowed, given)
        for key, parameter in allowed.items():
            if (value := arguments.get(key)) is None:
                continue
            if parameter.kind == "path":
                arguments[key] = self.file(f"{where}: {key}", value)
            elif parameter.kind == "model":
                arguments[key] = self.means.get(value, value)
        try:
            check_backend(raw["use"], arguments)
        except ConfigError as error:
            raise ConfigError(f"{where}: {error}") from error
        price = _price(where, raw.get("price"))
        self.llms[name] = Entry(name, raw["use"], arguments, self._pack(f"{where}: prompts", pack), sampling, price)

    def llm(self, where: str, value: str) -> str:
        """The name of an LLM entry; a stage that trains becomes one. Raises ``ConfigError``."""
        name = self.means.get(value, value)
        if name not in self.llms and self._trained(name):
            self.llms[name] = Entry(name, "transformers", self._transformers(where, name))
        if name not in self.llms:
            known = [*self.llms, *(node.name for node in self.nodes.values() if node.stage.shape == "job")]
            hint = nearest(name, known) or self._below(name)
            there = ", ".join(known) or "none (add llms:, or --llm NAME=... on the command line)"
            raise ConfigError(f"{where}: no LLM {value!r}{hint}; there are: {there}")
        for member in self.llms[name].members:
            self.llm(where, member)
        if not self.llms[name].members:
            for key, parameter in parameters(load_backend(self.llms[name].use)).items():
                if parameter.kind == "model":
                    self.model(f"{where}: LLM {name}", self.llms[name].arguments[key])
        return name

    def rows(self, where: str, value: str) -> Input:
        """The rows of a stage above, ``stage.part``, or a file. Raises ``ConfigError``."""
        name, _, part = value.partition(".")
        name = self.means.get(name, name)
        if name in self.nodes:
            if self.nodes[name].stage.shape == "job":
                raise ConfigError(f"{where}: {value!r} makes no rows")
            return Input(name, part)
        if (path := assets.find(value, self.base)) is not None:
            return Input(self._implicit_source(path))
        known = [node.name for node in self.nodes.values() if node.stage.shape != "job"]
        hint = nearest(name, known) or self._below(name)
        there = ", ".join(known) or "none"
        raise ConfigError(f"{where}: {value!r} is neither a stage above ({there}) nor a file{hint}")

    def named_rows(self, where: str, value: str | list[str] | dict[str, str]) -> dict[str, Input]:
        """Rows by name, each as ``rows`` has them; a file or folder named as a preset is read by it.

        The presets are ``seeds/benchmarks/*.yaml``. What has no name of its own goes by its stage's. Raises
        ``ConfigError``.
        """
        if isinstance(value, dict):
            return {name: self._benchmark(f"{where}: {name}", name, one) for name, one in value.items()}
        found = [self.rows(where, one) for one in ([value] if isinstance(value, str) else value)]
        return {str(one): one for one in found}

    def above(self, where: str) -> Input:
        """The nearest stage above that makes rows: what ``from`` defaults to. Raises ``ConfigError``."""
        for node in reversed(self.nodes.values()):
            if node.stage.shape != "job":
                return Input(node.name)
        raise ConfigError(f"{where}: nothing above it makes rows; begin with a source, such as sources.jsonl")

    def model(self, where: str, value: str) -> str:
        """The name of a training stage above, or any other model name as it is. Raises ``ConfigError``."""
        name = self.means.get(value, value)
        if name in self.stages and not self._trained(name):
            problem = self._below(name) or " is a stage that trains no model"
            raise ConfigError(f"{where}: {value!r}{problem}")
        return name

    def file(self, where: str, value: str) -> str:
        """A file as given, beside the pipeline file, or shipped. Raises ``ConfigError``."""
        if (found := assets.find(value, self.base)) is not None:
            return str(found)
        raise ConfigError(
            f"{where}: no file {value!r} in {Path.cwd()}, beside the pipeline, or among the shipped files"
        )

    def _team(self, where: str, name: str, raw: dict[str, Any]) -> Entry:
        """A pool or a fallback of entries above it. Raises ``ConfigError``."""
        if unknown := [key for key in raw if key not in ("use", "of")]:
            raise ConfigError(
                f"{where}: unknown key {unknown[0]!r}; a {raw['use']} takes 'of'; the rest is its members'"
            )
        given = raw.get("of")
        if isinstance(given, list) and all(isinstance(one, str) for one in given):
            given = dict.fromkeys(given, 1.0)
        if not isinstance(given, dict) or not given or (raw["use"] == "fallback" and isinstance(raw["of"], dict)):
            like = "{large: 1, small: 3}" if raw["use"] == "pool" else "[large, small]"
            raise ConfigError(f"{where}: of: names the LLM entries that it stands for, such as {like}")
        for member, weight in given.items():
            if self.llms[self.llm(f"{where}: of", str(member))].members:
                raise ConfigError(f"{where}: of: {member} is a pool or fallback itself")
            if not isinstance(weight, int | float) or not weight > 0:
                raise ConfigError(f"{where}: of: {member}: {weight!r} is no weight above 0")
        packs = sorted({self.llms[str(member)].prompts for member in given})
        if len(packs) > 1:
            raise ConfigError(f"{where}: its members use different prompts: {' and '.join(map(repr, packs))}")
        return Entry(name, raw["use"], {}, packs[0], members={str(one): float(weight) for one, weight in given.items()})

    def _pack(self, where: str, value: Any) -> str:
        """A pack that ships with the package by its name; a folder of the user's by its path."""
        if not isinstance(value, str):
            raise ConfigError(f"{where}: names a prompt pack, such as tiny, or a folder; not {value!r}")
        if not value or (assets.folder("prompts") / value).is_dir():
            return value
        return self.file(where, value)

    def _benchmark(self, where: str, name: str, value: str) -> Input:
        presets = {path.stem: path for path in assets.folder("seeds").glob("benchmarks/*.yaml")}
        path = assets.find(value, self.base)
        if path is None or value in self.nodes or (name not in presets and path.is_file()):
            return self.rows(where, value)
        if name not in presets:
            there = ", ".join(sorted(presets))
            raise ConfigError(
                f"{where}: a folder needs a benchmark's name, to know its items{nearest(name, presets)}; there are: "
                f"{there}; any other is read by a stage that uses sources.benchmark"
            )
        given = {"path": str(path), "preset": str(presets[name])}
        return Input(self._source("sources.benchmark", name, where, given))

    def _trained(self, name: str) -> bool:
        return name in self.nodes and self.nodes[name].stage.shape == "job"

    def _transformers(self, where: str, model: str) -> dict[str, Any]:
        return check_arguments(where, parameters(load_backend("transformers")), {"model": model})

    def _below(self, name: str) -> str:
        return " (that stage stands below)" if name in self.stages and name not in self.nodes else ""

    def _implicit_source(self, path: Path) -> str:
        """The name of a source for a file that stands where rows are wanted."""
        return self._source("sources.jsonl", re.sub(r"\W+", "_", path.stem), str(path), {"path": str(path)})

    def _source(self, use: str, stem: str, where: str, given: dict[str, Any]) -> str:
        """The name of such a source, which is added where there is none yet. Raises ``ConfigError``."""
        stage = load_stage(use)
        node = Node(stem, stage, (), check_arguments(where, stage.parameters, given))
        stage.check(node.arguments)
        name = next(name for name in (f"{stem}{i or ''}" for i in range(10**6)) if self._is_free(name, node))
        self.nodes.setdefault(name, replace(node, name=name))
        return name

    def _is_free(self, name: str, wanted: Node) -> bool:
        node = self.nodes.get(name)
        if name in self.stages or name in self.llms or node is None:
            return name not in self.stages and name not in self.llms
        return (node.stage.name, node.arguments) == (wanted.stage.name, wanted.arguments)


def _price(where: str, given: Any) -> Price | None:
    try:
        return None if given is None else msgspec.convert(given, Price)
    except msgspec.ValidationError as error:
        raise ConfigError(f"{where}: price: {error}; such as {{input: 0.15, output: 0.6}}") from error
