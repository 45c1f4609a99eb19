"""Prompt templates: one Jinja file each, front matter for parser, sampling and citation.

A body is split into chat turns at lines ``@@ system|user|assistant`` of the template's SOURCE, so that no data can open
a turn; ``@@ messages NAME`` splices a list of messages. Turns render in Jinja's sandbox and an undefined variable is
an error; a turn that renders to nothing is left out. Packs: ``prompts/<name>.j2`` is the default, and an LLM entry may
name an overlay (a folder under ``prompts/``, or a path) whose files replace those of the same name. A pack for a model
without some role says ``layout: skip`` in that role's file, and stages that can do without the question do.
"""

from __future__ import annotations

import functools
import hashlib
import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec
from jinja2 import StrictUndefined, Template, TemplateError, TemplateSyntaxError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from datagen import assets
from datagen.document import parse
from datagen.errors import ConfigError
from datagen.llm.base import Sampling
from datagen.record import Message

_environment = ImmutableSandboxedEnvironment(undefined=StrictUndefined, trim_blocks=True, lstrip_blocks=True)
_TURN = re.compile(r"^@@ +(system|user|assistant|messages)(?: +(\w+))?[ \t]*$", re.MULTILINE)
_FRONT_KEYS = {"paper", "parser", "sampling", "layout", "grade", "note"}


@dataclass(frozen=True)
class Turn:
    """One turn of a template: a role and its text, or the name of a list of messages to splice."""

    role: str
    text: Template | None
    messages: str = ""


@dataclass(frozen=True)
class Prompt:
    """A loaded template. ``digest`` is of the file's bytes: part of the key of every stage that uses it."""

    name: str
    path: Path
    digest: str
    turns: tuple[Turn, ...]
    parser: str = "text"
    sampling: Sampling = field(default_factory=Sampling)
    layout: str = ""
    grade: str = ""
    paper: str = ""

    @property
    def place(self) -> str:
        """Where the file lies among the shipped ones; of any other, its name."""
        shipped = assets.folder("prompts")
        return str(self.path.relative_to(shipped)) if shipped in self.path.parents else self.path.name

    @property
    def skipped(self) -> bool:
        """The pack's model was never taught to answer this, and is not to be asked."""
        return self.layout == "skip"

    def render(self, **variables: Any) -> list[Message]:
        """The chat that asks. Raises ``ConfigError`` that names the file whose template cannot use the variables."""
        messages: list[Message] = []
        try:
            for turn in self.turns:
                if turn.text is None:
                    messages.extend(variables[turn.messages])
                elif text := turn.text.render(variables).strip():
                    messages.append(Message(turn.role, text))
        except (TemplateError, LookupError, TypeError, ValueError, ArithmeticError, AttributeError) as error:
            allowed = ", ".join(sorted(variables))
            raise ConfigError(f"prompt {self.path}: {error}; the stage gives it: {allowed}") from error
        return messages


def locate(name: str, pack: str = "") -> Path:
    """The file that a prompt's name means, with ``pack`` laid over the default pack."""
    if name.endswith(".j2"):
        found = assets.find(name)
        if found is None:
            raise ConfigError(f"prompt {name}: no such file")
        return found
    shipped = assets.folder("prompts")
    folders = [shipped / pack, Path(pack).expanduser()] if pack else []
    for root in [*folders, shipped]:
        if (candidate := root / f"{name}.j2").is_file():
            return candidate
    if pack and not any(root.is_dir() for root in folders):
        raise ConfigError(f"prompts: {pack}: neither a folder nor a pack that ships with datagen")
    beside = sorted({path.stem for root in [*folders, shipped] for path in (root / name).parent.glob("*.j2")})
    there = f"; there are: {', '.join(beside)}" if beside else ""
    raise ConfigError(f"prompt {name}: not found as {shipped / name}.j2{there}")


def load(name: str, pack: str = "") -> Prompt:
    """The template that a name means under a pack. Raises ``ConfigError`` for a missing or malformed file."""
    path = locate(name, pack)
    return _parse(name, path, path.read_bytes())


def digests(name: str, pack: str = "") -> list[str]:
    """The digests of all files that asking with this prompt reads. Raises ``ConfigError``."""
    return [prompt.digest for prompt in read_with(name, pack)]


def read_with(name: str, pack: str = "") -> list[Prompt]:
    """All templates that asking with this prompt reads. Raises ``ConfigError``."""
    prompt = load(name, pack)
    return [prompt, *([load(prompt.grade or "grade/accuracy", pack)] if prompt.layout == "pointwise" else [])]


@functools.lru_cache(maxsize=256)
def _parse(name: str, path: Path, data: bytes) -> Prompt:
    try:
        text = data.decode("utf-8-sig").replace("\r\n", "\n")
    except UnicodeDecodeError as error:
        raise ConfigError(f"prompt {path}: not UTF-8: {error}") from error
    front, body = _split_front_matter(path, text)
    marks = list(_TURN.finditer(body))
    if not marks or body[: marks[0].start()].strip():
        raise ConfigError(f"prompt {path}: the body must begin with a line such as '@@ user'")
    turns = []
    for mark, following in zip(marks, [*marks[1:], None], strict=True):
        text = body[mark.end() : following.start() if following else len(body)]
        turns.append(_turn(path, mark, text))
    return Prompt(name, path, hashlib.sha256(data).hexdigest(), tuple(turns), **front)


def _turn(path: Path, mark: re.Match[str], text: str) -> Turn:
    role, variable = mark.groups()
    if role == "messages":
        if not variable or text.strip():
            raise ConfigError(f"prompt {path}: '@@ messages NAME' takes a variable's name and no text")
        return Turn(role, None, variable)
    try:
        return Turn(role, _environment.from_string(text))
    except TemplateSyntaxError as error:
        raise ConfigError(f"prompt {path}: {error.message}") from error


def _split_front_matter(path: Path, text: str) -> tuple[dict[str, Any], str]:
    match = re.match(r"---\n(.*?)^---\n", text, re.DOTALL | re.MULTILINE)
    if not match:
        return {}, text
    try:
        front = parse(match.group(1), f"prompt {path}: front matter") or {}
        if not isinstance(front, dict):
            raise ConfigError(f"prompt {path}: front matter: needs a mapping of keys")
        if unknown := set(front) - _FRONT_KEYS:
            key = min(map(str, unknown))
            raise ConfigError(f"prompt {path}: unknown key {key!r}; allowed: {', '.join(sorted(_FRONT_KEYS))}")
        if "sampling" in front:
            front["sampling"] = msgspec.convert(front["sampling"], Sampling)
    except msgspec.ValidationError as error:
        raise ConfigError(f"prompt {path}: front matter: {' '.join(str(error).split())}") from error
    return {key: front[key] for key in ("parser", "sampling", "layout", "grade", "paper") if key in front}, text[
        match.end() :
    ]
