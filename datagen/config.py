"""A pipeline file, checked: every name, key and value, before any work.

Top level: ``name``, ``seed``, ``budget``, ``llms``, ``stages``, ``tiny`` (settings that ``--tiny`` lays over the file:
the shipped models and small sizes). A stage has ``use``, ``from``, ``on_failure`` and its function's own arguments, a
source also the ``licence`` of its data, which goes into data cards and changes no row; ``repeat: N`` with ``stages:``
unrolls a group into ``name@1..N``.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, get_args

import msgspec

from datagen import document as documents
from datagen import prompts
from datagen.errors import ConfigError
from datagen.failures import OnFailure
from datagen.llm.budget import Limits
from datagen.pipeline import Entry, Input, Node, Pipeline, packs
from datagen.plugins import Stage, check_arguments, load_backend, load_stage, parameters
from datagen.references import References
from datagen.repeat import Placed, unroll

_TOP_KEYS = ("name", "seed", "budget", "llms", "stages")
_STAGE_KEYS = ("use", "from", "on_failure", "licence")
_NAME = re.compile(r"[A-Za-z][\w-]*(@\d+)?")


def load(path: str | Path, overrides: Mapping[str, Any] | None = None, *, tiny: bool = False) -> Pipeline:
    """The pipeline of a file (or of a shipped one, by name). Raises ``ConfigError``."""
    found = documents.find(str(path))
    return build(documents.read(found), overrides, where=str(found), base=found.parent, tiny=tiny)


def check_tiny(path: str | Path) -> None:
    """Raises ``ConfigError`` where a file's ``tiny:`` section, if it has one, makes no pipeline."""
    document = documents.read(documents.find(str(path)))
    if isinstance(document, dict) and "tiny" in document:
        load(path, tiny=True)


def build(
    document: Any,
    overrides: Mapping[str, Any] | None = None,
    *,
    where: str = "pipeline",
    base: Path | None = None,
    tiny: bool = False,
) -> Pipeline:
    """The pipeline that a parsed file describes; ``overrides`` go over what ``tiny`` lays. Raises ``ConfigError``."""
    if not isinstance(document, dict):
        raise ConfigError(f"{where}: needs a mapping with 'stages'")
    name = str(document.get("name") or Path(where).stem)
    if tiny:
        where = f"{where} (tiny)"
        document = documents.tiny(document, name, where)
    document = documents.overridden(document, overrides or {}, where)
    document.pop("tiny", None)  # what runs is resolved without it
    if unknown := [key for key in document if key not in _TOP_KEYS]:
        raise ConfigError(f"{where}: unknown key {unknown[0]!r}; allowed: {', '.join((*_TOP_KEYS, 'tiny'))}")
    for key in ("llms", "stages"):
        if not isinstance(document.get(key) or {}, dict):
            raise ConfigError(f"{where}: {key}: needs a mapping of names")
    if not document.get("stages"):
        raise ConfigError(f"{where}: needs a mapping with 'stages'")
    seed = document.get("seed", 0)
    if not isinstance(seed, int):
        raise ConfigError(f"{where}: seed must be a whole number, not {seed!r}")
    name = str(document.get("name") or name)
    if not _NAME.fullmatch(name):
        raise ConfigError(f"{where}: name {name!r}: begin with a letter and use letters, digits, '_' and '-'")
    known = _checked(document, where, base)
    budget = _budget(where, document.get("budget"), known.llms)
    return Pipeline(name, seed, known.llms, tuple(known.nodes.values()), document, budget)


def _budget(where: str, given: Any, llms: Mapping[str, Entry]) -> Limits | None:
    """The limits; money needs to know what each LLM costs that may cost something."""
    if given is None:
        return None
    such = "such as {usd: 5, tokens: 2000000, calls: 10000}"
    try:
        limits = msgspec.convert(given, Limits)
    except msgspec.ValidationError as error:
        name = str(error).rpartition(" at `$.")[2].rstrip("`")
        wrong = f".{name}: {given[name]!r} is not a number that it can be" if name in Limits.__struct_fields__ else ""
        raise ConfigError(f"{where}: budget{wrong or f': {error}'}; {such}") from error
    for name, entry in llms.items():
        may_cost = not entry.members and "api_key_env" in parameters(load_backend(entry.use))
        if limits.usd is not None and entry.price is None and may_cost:
            raise ConfigError(
                f"{where}: budget.usd: llms.{name} has no price; add price: {{input: 0.15, output: 0.6}} "
                "(USD per million tokens, 0 where it costs nothing)"
            )
    return limits


def _checked(document: dict[str, Any], where: str, base: Path | None) -> References:
    placed = list(unroll(document["stages"], where))
    known = References(base or Path(), [str(one.name) for one in placed])
    for name, raw in (document.get("llms") or {}).items():
        known.add_llm(f"{where}: llms.{name}", str(name), raw)
    for one in placed:
        _add(known, f"{where}: stages.{one.name}", one)
    return known


def _add(known: References, where: str, placed: Placed) -> None:
    """Check one stage and add it, so that every reference points upwards."""
    name, raw = str(placed.name), placed.raw
    if not isinstance(raw, dict) or not isinstance(raw.get("use"), str):
        raise ConfigError(f"{where}: needs a mapping with 'use', such as {{use: filters.length}}")
    if not _NAME.fullmatch(name) or name in known.llms or name in known.nodes:
        raise ConfigError(
            f"{where}: not a usable name (letters, digits, '_', '-'; unlike any LLM's and any other stage's)"
        )
    known.means = placed.means
    try:
        stage = load_stage(raw["use"])
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from error
    given = {str(key): value for key, value in raw.items() if key not in _STAGE_KEYS}
    _check_licence(where, stage, raw.get("licence"))
    inputs = _inputs(known, where, stage, raw.get("from"), given)
    arguments = _arguments(known, where, name, stage, given)
    try:
        arguments = stage.expanded(arguments)
        stage.check(arguments)
    except ConfigError as error:
        raise ConfigError(f"{where}: {error}") from error
    node = Node(name, stage, inputs, arguments, _on_failure(where, stage, raw.get("on_failure", "drop")))
    _check_prompts(where, node, known.llms)
    known.nodes[name] = node


def _on_failure(where: str, stage: Stage, given: Any) -> OnFailure:
    if given not in get_args(OnFailure):
        raise ConfigError(f"{where}: on_failure: {given!r}; it takes {' | '.join(get_args(OnFailure))}")
    asks = any(parameter.kind == "llm" for parameter in stage.parameters.values())
    if given != "drop" and (stage.shape == "job" or not asks):
        raise ConfigError(f"{where}: on_failure: {stage.name} makes no rows with an LLM")
    if given == "keep" and stage.shape == "loop" and stage.name.startswith("generators."):
        raise ConfigError(f"{where}: on_failure: {stage.name} makes new rows; a failed request has none to keep")
    chosen: OnFailure = given
    return chosen


def _check_licence(where: str, stage: Stage, given: Any) -> None:
    if given is not None and (stage.shape != "source" or not isinstance(given, str) or not given.strip()):
        raise ConfigError(f"{where}: licence: names the licence of a source's data, such as cc-by-4.0; not {given!r}")


def _inputs(known: References, where: str, stage: Stage, given: Any, arguments: dict[str, Any]) -> tuple[Input, ...]:
    """What a stage reads; a ``from`` with shares adds the argument ``shares``."""
    if stage.shape == "source":
        if given is not None:
            raise ConfigError(f"{where}: {stage.name} reads no rows; it takes no 'from'")
        return ()
    if given is None:
        return (known.above(where),)
    names = list(given) if isinstance(given, dict | list) else [given]
    inputs = {str(name): known.rows(f"{where}: from", str(name)) for name in names}
    if not inputs:
        raise ConfigError(f"{where}: from: names no rows")
    if isinstance(given, dict):
        if "shares" not in stage.parameters or "shares" in arguments:
            raise ConfigError(f"{where}: 'from' with shares is for mixtures; {stage.name} takes a name or a list")
        arguments["shares"] = {str(inputs[str(name)]): share for name, share in given.items()}
    return tuple(inputs.values())


def _arguments(known: References, where: str, name: str, stage: Stage, given: dict[str, Any]) -> dict[str, Any]:
    """The arguments with defaults filled in and every reference resolved."""
    for key, value in given.items():
        parameter = stage.parameters.get(key)
        if parameter is not None and parameter.kind == "llm" and isinstance(value, dict):
            known.add_llm(f"{where}: {key}", entry := f"{name}-{key}", value)
            given[key] = entry
    arguments = check_arguments(where, stage.parameters, given)
    resolve: dict[str, Callable[[str, Any], Any]] = {
        "llm": known.llm,
        "rows": known.rows,
        "named_rows": known.named_rows,
        "path": known.file,
        "model": known.model,
    }
    for key, value in arguments.items():
        kind, at = stage.parameters[key].kind, f"{where}: {key}"
        if kind == "prompt" and value is not None:
            arguments[key] = _prompt(known, at, stage, value)
        elif kind in resolve and value is not None:
            arguments[key] = resolve[kind](at, value)
    return arguments


def _prompt(known: References, where: str, stage: Stage, name: str) -> str:
    if name.endswith(".j2"):
        return known.file(where, name)
    return name if "/" in name else f"{stage.method}/{name}"


def _check_prompts(where: str, node: Node, llms: Mapping[str, Entry]) -> None:
    """Every prompt loads under every LLM's pack."""
    named = [*node.given("prompt").items(), *(("prompts", name) for name in node.stage.chosen_prompts(node.arguments))]
    for key, name in named:
        for pack in packs(node, llms):
            try:
                prompts.digests(name, pack)
            except ConfigError as error:
                raise ConfigError(f"{where}: {key}: {error}") from error
