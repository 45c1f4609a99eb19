"""A pipeline file as plain data: YAML read strictly, and overrides laid over it.

YAML 1.1 as PyYAML reads it has three traps for this file: ``2e-5`` is a text, ``no`` (Norwegian) is false, and of two
stages with one name the first is lost without a word. Here they are a number, a text and an error.
"""

from __future__ import annotations

import re
from collections.abc import Hashable, Mapping
from pathlib import Path
from typing import Any

import yaml

from datagen import assets
from datagen.errors import ConfigError


class _Loader(yaml.SafeLoader):
    """YAML 1.2's floats and booleans, and no key twice."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:
        seen = set()
        for key, _ in node.value:
            if not isinstance(key.value, str):
                raise yaml.constructor.ConstructorError(None, None, "a key is a name", key.start_mark)
            if key.value in seen and key.tag != "tag:yaml.org,2002:merge":
                raise yaml.constructor.ConstructorError(None, None, f"{key.value!r} stands here twice", key.start_mark)
            seen.add(key.value)
        return super().construct_mapping(node, deep)


_FLOAT = re.compile(r"[-+]?(\.[0-9]+|[0-9]+(\.[0-9]*)?)([eE][-+]?[0-9]+)?|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)")
_OTHERS = {
    first: [pair for pair in pairs if pair[0] not in ("tag:yaml.org,2002:bool", "tag:yaml.org,2002:float")]
    for first, pairs in yaml.SafeLoader.yaml_implicit_resolvers.items()
}
_Loader.yaml_implicit_resolvers = _OTHERS
_Loader.add_implicit_resolver("tag:yaml.org,2002:bool", re.compile(r"true|True|TRUE|false|False|FALSE"), list("tTfF"))
_Loader.add_implicit_resolver("tag:yaml.org,2002:float", re.compile(f"({_FLOAT.pattern})$"), list("-+.0123456789"))


def read(path: Path) -> Any:
    """The content of a YAML file. Raises ``ConfigError`` with the line."""
    try:
        return parse(path.read_text(encoding="utf-8"), path)
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: not valid YAML: {_problem(error)}") from error


def parse(text: str, where: object) -> Any:
    """The content of a YAML text. Raises ``ConfigError`` with the line."""
    try:
        return yaml.load(text, _Loader)
    except yaml.YAMLError as error:
        raise ConfigError(f"{where}: not valid YAML: {_problem(error)}") from error


def find(name: str) -> Path:
    """The pipeline file that a path, or the name of a shipped one, means. Raises ``ConfigError``."""
    shipped = assets.folder("pipelines")
    names = [name] if name.endswith((".yaml", ".yml")) else [name, f"{name}.yaml"]
    for found in (assets.find(candidate, shipped) for candidate in names):
        if found is not None and found.is_file():
            return found
    known = ", ".join(sorted(path.stem for path in shipped.glob("*.yaml"))) or "none"
    raise ConfigError(f"no pipeline file {name!r}; shipped ones: {known}")


def parse_overrides(words: list[str], *, such_as: str = "stages.tasks.count=500") -> dict[str, Any]:
    """``["stages.tasks.count=500"]`` as a mapping; values are YAML. Raises ``ConfigError``."""
    parsed = {}
    for word in words:
        dotted, equals, value = word.partition("=")
        if not equals or not dotted:
            raise ConfigError(f"{word!r} is not an override; write key=value, such as {such_as}")
        parsed[dotted] = parse_value(value, word)
    return parsed


def parse_settings(words: list[str]) -> dict[str, Any]:
    """``["args.learning_rate=5e-4"]`` as the settings of one stage, dotted keys nested. Raises ``ConfigError``."""
    settings: dict[str, Any] = {}
    for dotted, value in parse_overrides(words, such_as="min_words=3").items():
        _set(settings, dotted, value, f"setting {dotted}")
    return settings


def parse_value(text: str, where: str) -> Any:
    """A value as the file would have it. Raises ``ConfigError``."""
    try:
        return yaml.load(text, _Loader)
    except yaml.YAMLError as error:
        raise ConfigError(f"{where!r}: the value is not valid YAML: {_problem(error)}") from error


def override(document: dict[str, Any], dotted: str, value: Any, where: str) -> None:
    """Set one dotted key. Raises ``ConfigError`` for a stage or an LLM that is not there."""
    first, *rest = dotted.split(".")
    if first == "tiny":
        raise ConfigError(f"{where}: override {dotted}: give the setting itself; it goes over the tiny: section")
    there = document.get(first, {})
    if len(rest) > 1 and isinstance(there, dict) and rest[0] not in there:
        known = ", ".join(map(str, there))
        raise ConfigError(f"{where}: override {dotted}: no {f'{first}.{rest[0]}'!r}; there are: {known}")
    _set(document, dotted, value, f"{where}: override {dotted}")


def _set(target: dict[str, Any], dotted: str, value: Any, where: str) -> None:
    *parents, last = dotted.split(".")
    for depth, parent in enumerate(parents):
        target = target.setdefault(parent, {})
        if not isinstance(target, dict):
            raise ConfigError(f"{where}: {'.'.join(parents[: depth + 1])!r} is no mapping")
    target[last] = value


def tiny(document: dict[str, Any], name: str, where: str) -> dict[str, Any]:
    """A copy with the settings of its ``tiny:`` section laid over it, and a name of its own. Raises ``ConfigError``."""
    settings = document.get("tiny")
    if not isinstance(settings, dict) or not all(isinstance(dotted, str) for dotted in settings):
        raise ConfigError(
            f"{where}: --tiny needs a section 'tiny:' with settings as on the command line, "
            "such as 'stages.tasks.count: 500'"
        )
    return overridden(document, {"name": f"{name}-tiny", **settings}, where)


def overridden(document: dict[str, Any], overrides: Mapping[str, Any], where: str) -> dict[str, Any]:
    """A copy of the document with all overrides set."""
    copied: dict[str, Any] = _copied(document)
    for dotted, value in overrides.items():
        override(copied, dotted, value, where)
    return copied


def _copied(value: Any) -> Any:
    """Mappings and lists copied, paths spelled out, anything else as it is."""
    if isinstance(value, Mapping):
        return {key: _copied(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_copied(item) for item in value]
    return str(value) if isinstance(value, Path) else value


def _problem(error: yaml.YAMLError | UnicodeDecodeError) -> str:
    """One line of PyYAML's several."""
    if isinstance(error, yaml.MarkedYAMLError) and error.problem_mark is not None:
        return f"line {error.problem_mark.line + 1}: {error.problem}"
    return str(error).replace("\n", " ")
