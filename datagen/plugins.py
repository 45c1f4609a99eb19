"""Names to functions: a stage's file is its name, its signature is its schema.

``filters.length`` is the function ``length`` in ``datagen/filters/length.py``; a bare ``length`` will do where it is
unambiguous. Other packages add stages through the entry-point group ``datagen`` (name ``filters.mine``), or are named
as ``package.module:function``. LLM back ends are found the same way, in ``datagen/llm/``.
"""

from __future__ import annotations

import difflib
import functools
import importlib
import importlib.metadata
import inspect
import random
import re
import sys
import types
import typing
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal, Union

import msgspec

from datagen.errors import ConfigError
from datagen.llm import models
from datagen.llm.base import Backend
from datagen.llm.client import LLM
from datagen.stage import Blocks, EachAlone, FunctionName, ModelName, NamedRows, PromptName, Rows

GROUPS = ("sources", "generators", "filters", "mixtures", "training", "evaluation")
BACKENDS = ("transformers", "vllm", "openai", "openai_batch", "scripted")
TEAMS = ("pool", "fallback")
Shape = Literal["source", "record", "stream", "loop", "job"]
_PACKAGE = Path(__file__).parent


@dataclass(frozen=True)
class Parameter:
    """One keyword-only argument: ``kind`` is the special annotation (``LLM``, ``Rows``, ...) or ``value``; ``rest``
    stands for all other keys, which ``check`` of its file must check."""

    name: str
    kind: str
    annotation: Any
    default: Any
    required: bool
    optional: bool

    @property
    def spelled(self) -> str:
        """Its type, as a reader of the YAML file thinks of it."""
        if self.kind != "value":
            return self.kind
        text = getattr(self.annotation, "__name__", "") if isinstance(self.annotation, type) else ""
        written = str(self.annotation).replace("typing.", "").replace("NoneType", "None")
        return text or re.sub(r"tuple\[(.+?), \.\.\.\]", r"list[\1]", written)


@dataclass(frozen=True)
class Stage:
    """A stage function with what its signature says."""

    name: str
    function: Callable[..., Any]
    shape: Shape
    many: bool
    """It takes several named inputs (first parameter ``sources``)."""
    parameters: dict[str, Parameter]

    def check(self, arguments: dict[str, Any]) -> None:
        """What the types cannot say: the function ``check(arguments)`` of the stage's file, if there is one.

        Raises ``ConfigError``.
        """
        check = getattr(sys.modules[self.function.__module__], "check", None)
        if check is not None:
            check(arguments)

    def expanded(self, arguments: dict[str, Any]) -> dict[str, Any]:
        """With what a preset stands for: the function ``expanded(arguments)`` of the stage's file, if there is one.

        Raises ``ConfigError``.
        """
        expand = getattr(sys.modules[self.function.__module__], "expanded", None)
        found: dict[str, Any] = arguments if expand is None else expand(arguments)
        return found

    def chosen_prompts(self, arguments: dict[str, Any]) -> list[str]:
        """Prompts beyond those that arguments name: ``chosen_prompts(arguments)`` of its file, if there is one."""
        chosen = getattr(sys.modules[self.function.__module__], "chosen_prompts", None)
        return list(chosen(arguments)) if chosen is not None else []

    @functools.cached_property
    def judges_each_alone(self) -> bool:
        """Whether it is a filter that says so by what it gives back (``EachAlone``), and draws no lots."""
        if any(parameter.kind == "rng" for parameter in self.parameters.values()):
            return False  # several processes would each begin with the first
        returned = typing.get_type_hints(self.function, include_extras=True).get("return")
        return self.shape == "stream" and not self.many and returned == EachAlone

    def in_blocks(self, arguments: dict[str, Any]) -> Blocks | None:
        """A source in blocks: the function ``in_blocks(arguments)`` of its file, if there is one and it can."""
        module = sys.modules[self.function.__module__]
        found = getattr(module, "in_blocks", None) if self.shape == "source" else None
        blocks: Blocks | None = found(arguments) if found is not None else None
        return blocks

    @property
    def method(self) -> str:
        """The last part of the name: what drop reasons begin with."""
        return self.function.__name__

    @property
    def summary(self) -> str:
        """What it is for, in a line: the first of its file, or where the file holds more than it, of the function."""
        module = sys.modules[self.function.__module__]
        of_file = module.__name__.rpartition(".")[2] == self.method
        return (inspect.getdoc(module if of_file else self.function) or "").partition("\n")[0]

    @property
    def about(self) -> str:
        """All that its file says about it: the docstrings of the module and of the function."""
        module = sys.modules[self.function.__module__]
        return f"{inspect.getdoc(module) or ''}\n{self.details}"

    @property
    def details(self) -> str:
        """What it gives back, and what its settings mean: the docstring."""
        return inspect.getdoc(self.function) or ""


@functools.cache
def stage_names() -> tuple[str, ...]:
    """Every stage that can be named, without importing any of them."""
    own = [f"{group}.{path.stem}" for group in GROUPS for path in sorted((_PACKAGE / group).glob("[a-z]*.py"))]
    return (*(name for name in own if _defines_itself(name)), *sorted(_entry_points()))


@functools.cache
def load_stage(name: str) -> Stage:
    """The stage that a name means. Raises ``ConfigError`` that suggests the nearest names."""
    function = _import(name) if ":" in name else _find(name)
    shape, many = _shape(name, function)
    return Stage(_full_name(name), function, shape, many, parameters(function))


@functools.cache
def load_backend(name: str) -> Callable[..., Any]:
    """The function that opens an LLM back end."""
    if ":" in name:
        return _import(name)
    if name not in BACKENDS:
        known = (*BACKENDS, *TEAMS)
        raise ConfigError(f"no LLM back end {name!r}{nearest(name, known)}; there are: {', '.join(known)}")
    return _import(f"datagen.llm.{name}:{name}")


def check_backend(use: str, arguments: dict[str, Any]) -> None:
    """What the types cannot say: the function ``check(arguments)`` of the back end's file. Raises ``ConfigError``."""
    check = getattr(sys.modules[load_backend(use).__module__], "check", None)
    if check is not None:
        check(arguments)


def check_ready(use: str, arguments: dict[str, Any]) -> None:
    """What must be there when a run begins: ``ready(arguments)`` of the back end's file. Raises ``ConfigError``."""
    ready = getattr(sys.modules[load_backend(use).__module__], "ready", None)
    if ready is not None:
        ready(arguments)


def operational(use: str) -> frozenset[str]:
    """Further arguments that say how a back end is run, not what it answers: ``OPERATIONAL`` of its file."""
    found: frozenset[str] = getattr(sys.modules[load_backend(use).__module__], "OPERATIONAL", frozenset())
    return found


def open_backend(use: str, arguments: dict[str, Any]) -> Backend:
    """The back end of checked arguments, with shipped models and paths resolved."""
    function = load_backend(use)
    ready = dict(arguments)
    for parameter in parameters(function).values():
        value = ready.get(parameter.name)
        if isinstance(value, str) and parameter.kind in ("path", "model"):
            ready[parameter.name] = Path(value) if parameter.kind == "path" else models.resolve(value)
    backend: Backend = function(**ready)
    return backend


def parameters(function: Callable[..., Any]) -> dict[str, Parameter]:
    """The keyword-only parameters of a stage or back end."""
    hints = typing.get_type_hints(function)
    found = {}
    for parameter in inspect.signature(function).parameters.values():
        if parameter.kind is inspect.Parameter.KEYWORD_ONLY:
            annotation = hints.get(parameter.name, Any)
            kind, optional = _kind(annotation)
            required = parameter.default is inspect.Parameter.empty and kind != "rng"
            default = None if required or kind == "rng" else parameter.default
            found[parameter.name] = Parameter(parameter.name, kind, annotation, default, required, optional)
        elif parameter.kind is inspect.Parameter.VAR_KEYWORD:
            found[parameter.name] = Parameter(parameter.name, "rest", Any, None, False, True)
    return found


def check_arguments(where: str, allowed: dict[str, Parameter], given: dict[str, Any]) -> dict[str, Any]:
    """``given`` with defaults filled in and plain values converted to their annotations.

    Raises ``ConfigError`` for an unknown key, a missing one, or a value of the wrong type.
    """
    keys = [name for name, parameter in allowed.items() if parameter.kind not in ("rng", "rest")]
    others = {key: value for key, value in given.items() if key not in keys}
    for key in others:
        if all(parameter.kind != "rest" for parameter in allowed.values()):
            raise ConfigError(f"{where}: unknown key {key!r}{nearest(key, keys)}; allowed: {', '.join(keys) or 'none'}")
    for name in keys:
        if allowed[name].required and name not in given:
            raise ConfigError(f"{where}: needs {name!r}")
    checked = {
        name: _converted(where, allowed[name], given[name]) if name in given else allowed[name].default for name in keys
    }
    return {**checked, **others}


def _converted(where: str, parameter: Parameter, value: Any) -> Any:
    if value is None and parameter.optional:
        return None
    if parameter.kind == "path" and isinstance(value, Path):
        return str(value)
    expected = parameter.annotation if parameter.kind == "value" else _WRITTEN.get(parameter.kind, str)
    try:
        return msgspec.convert(value, expected)
    except TypeError:  # an annotation that only Python callers can satisfy, such as a function
        return value
    except msgspec.ValidationError as error:
        raise ConfigError(f"{where}: {parameter.name}: {_problem(value, error, parameter)}") from error


def _problem(value: Any, error: msgspec.ValidationError, parameter: Parameter) -> str:
    """What msgspec found; where that is only the wrong type, which it spells as JSON would, the type that it takes."""
    said = str(error)
    own = said.startswith("Expected `") and "got `" in said and " - at " not in said
    return f"{value!r}: it takes {parameter.spelled}" if own else f"{value!r}: {said}; it takes {parameter.spelled}"


# What stands in the file for a special annotation, where that is not a name alone.
_WRITTEN: dict[str, Any] = {"named_rows": str | list[str] | dict[str, str]}
_KINDS: dict[Any, str] = {
    LLM: "llm",
    Rows: "rows",
    NamedRows: "named_rows",
    Path: "path",
    random.Random: "rng",
    PromptName: "prompt",
    ModelName: "model",
    FunctionName: "function",
}


def _kind(annotation: Any) -> tuple[str, bool]:
    options = (
        typing.get_args(annotation) if typing.get_origin(annotation) in (Union, types.UnionType) else (annotation,)
    )
    optional = type(None) in options
    for option in options:
        if isinstance(option, typing.Hashable) and option in _KINDS:
            return _KINDS[option], optional
    return "value", optional


def _shape(name: str, function: Callable[..., Any]) -> tuple[Shape, bool]:
    positional = [
        parameter.name
        for parameter in inspect.signature(function).parameters.values()
        if parameter.kind is inspect.Parameter.POSITIONAL_OR_KEYWORD
    ]
    many = positional[:1] == ["sources"]
    if not positional:
        return "source", False
    if positional == ["record"] and inspect.iscoroutinefunction(function):
        return "record", False
    if positional in (["data", "out"], ["sources", "out"]):
        return "job", many
    if positional in (["records"], ["sources"]):
        return ("loop" if inspect.isasyncgenfunction(function) else "stream"), many
    raise ConfigError(
        f"{name}: its signature has none of a stage's shapes: (*, ...), async (record, *, ...), (records, *, ...), "
        "async generator (records, *, ...), (data, out, *, ...)"
    )


def _find(name: str) -> Callable[..., Any]:
    full = _full_name(name)
    if full in _entry_points():
        loaded: Callable[..., Any] = _entry_points()[full].load()
        return loaded
    return _import(f"datagen.{full}:{full.rpartition('.')[2]}")


def _full_name(name: str) -> str:
    if ":" in name or name in stage_names():
        return name
    matches = [known for known in stage_names() if known.rpartition(".")[2] == name]
    if len(matches) == 1:
        return matches[0]
    if matches:
        raise ConfigError(f"stage {name!r} is ambiguous: {' or '.join(matches)}")
    raise ConfigError(f"no stage {name!r}{nearest(name, stage_names())}; `datagen list` shows them all")


def _import(target: str) -> Callable[..., Any]:
    module_name, _, attribute = target.partition(":")
    try:
        module = importlib.import_module(module_name)
    except ModuleNotFoundError as error:
        if error.name and f"{module_name}.".startswith(f"{error.name}."):
            raise ConfigError(f"{target}: no module {error.name!r}; is its folder on PYTHONPATH?") from error
        extra = "transformers" if error.name in ("torch", "transformers") else "all"
        remedy = f"pip install 'datagen[{extra}]'" if module_name.startswith("datagen.") else "install it"
        raise ConfigError(f"{target} needs {error.name!r}, which is not there: {remedy}") from error
    function: Callable[..., Any] = getattr(module, attribute, None)  # type: ignore[assignment]
    if not callable(function):
        raise ConfigError(f"{module_name} has no function {attribute!r}")
    return function


def _defines_itself(name: str) -> bool:
    """Whether the file holds a function of its own name; helpers beside a stage do not."""
    group, _, stem = name.partition(".")
    text = (_PACKAGE / group / f"{stem}.py").read_text()
    return f"\ndef {stem}(" in text or f"\nasync def {stem}(" in text


@functools.cache
def _entry_points() -> dict[str, importlib.metadata.EntryPoint]:
    return {point.name: point for point in importlib.metadata.entry_points(group="datagen")}


def nearest(name: str, known: Iterable[str]) -> str:
    """`` (did you mean 'x'?)`` or nothing."""
    known = list(known)
    last = name.rpartition(".")[2]
    by_last = {one.rpartition(".")[2]: one for one in reversed(known)}
    close = [by_last[last]] if last in by_last else difflib.get_close_matches(name, known, 1)
    close = close or [by_last[one] for one in difflib.get_close_matches(last, by_last, 1)]
    return f" (did you mean {close[0]!r}?)" if close else ""
