"""Instructions that a program can check, read from IFEval's own fields, and which of them a response follows."""

from __future__ import annotations

import inspect
import typing
from collections.abc import Iterator, Mapping
from functools import cache
from typing import Any, Literal, NamedTuple

import msgspec

from datagen.text.constraint_checks import CHECKS

Strictness = Literal["strict", "loose"]


class Constraint(NamedTuple):
    """An instruction's id, as IFEval names it, and its arguments."""

    id: str
    arguments: dict[str, Any]


def read_constraints(ids: Any, arguments: Any) -> list[Constraint]:
    """``instruction_id_list`` and ``kwargs``; arguments that are null are left out, as some copies have them all.

    Raises ``ValueError`` for an unknown id, and for arguments that are missing, unknown or of the wrong type.
    """
    arguments = [{}] * len(ids) if arguments is None and isinstance(ids, list) else arguments
    if not isinstance(ids, list) or not isinstance(arguments, list) or len(ids) != len(arguments):
        raise ValueError("not a list of ids and a list of as many arguments")
    return [_read(name, given) for name, given in zip(ids, arguments, strict=True)]


def follows(response: str, constraint: Constraint, strictness: Strictness) -> bool:
    """Whether a response follows it; an empty one follows none. ``loose``: any of the response's ``variants`` does."""
    tried = variants(response) if strictness == "loose" else iter((response,))
    check = CHECKS[constraint.id]
    return any(check(variant, **constraint.arguments) for variant in tried if variant.strip())


def variants(response: str) -> Iterator[str]:
    """The paper's eight: with or without asterisks, first line and last line (arXiv 2311.07911, section 2.2)."""
    lines = response.split("\n")
    for cut in (lines, lines[1:], lines[:-1], lines[1:-1]):
        text = response if cut is lines else "\n".join(cut).strip()
        yield text
        yield text.replace("*", "")


def _read(name: Any, given: Any) -> Constraint:
    if not isinstance(name, str) or name not in CHECKS:
        raise ValueError(f"no instruction {str(name)[:80]!r}; known: {', '.join(CHECKS)}")
    if not isinstance(given, Mapping):
        raise ValueError(f"{name}: its arguments are no mapping")
    taken, found = _arguments(name), {key: value for key, value in given.items() if value is not None}
    if wrong := taken.keys() ^ found.keys():
        raise ValueError(
            f"{name}: it takes {', '.join(taken) or 'nothing'}; missing or unknown: {', '.join(sorted(wrong))}"
        )
    try:
        return Constraint(name, {key: msgspec.convert(found[key], kind, strict=False) for key, kind in taken.items()})
    except msgspec.ValidationError as error:
        raise ValueError(f"{name}: {error}") from error


@cache
def _arguments(name: str) -> dict[str, Any]:
    hints = typing.get_type_hints(CHECKS[name])
    return {one: hints[one] for one in inspect.signature(CHECKS[name]).parameters if one != "response"}
