"""Strict JSON out of an answer: all of it, or its one fenced block."""

from __future__ import annotations

import json
import re
from collections import Counter
from collections.abc import Iterator
from typing import Any, Literal

Where = Literal["answer", "fenced", "either"]

_FENCE = re.compile(r"[ \t]*```+[ \t]*+(\w*)[ \t]*")
_MOST_DIGITS = 4000  # what Python turns into a whole number without being told


class NotJSON(ValueError):
    """``why`` is short and typed: ``no_json``, ``several_blocks``, ``not_json``."""

    def __init__(self, why: str, message: str) -> None:
        super().__init__(message)
        self.why = why


def json_of(answer: str, where: Where) -> Any:
    """The value. ``NaN``, ``Infinity``, a key twice in an object and more brackets than can be followed are no JSON.

    Raises ``NotJSON``.
    """
    text = answer.strip()
    blocks = [body for mark, body in _fenced(answer) if mark.lower() in ("", "json")]
    if where == "fenced" or (where == "either" and blocks and not text.startswith(("{", "["))):
        if len(blocks) != 1:
            raise NotJSON("several_blocks" if blocks else "no_json", f"{len(blocks)} fenced blocks of JSON")
        text = blocks[0].strip()
    if not text:
        raise NotJSON("no_json", "nothing there")
    try:
        return json.loads(text, parse_constant=_refused, object_pairs_hook=_once, parse_int=_whole)
    except json.JSONDecodeError as error:
        shown = text[max(0, error.pos - 20) : error.pos + 20]
        raise NotJSON("not_json", f"line {error.lineno}, column {error.colno}: {error.msg} at {shown!r}") from error
    except (ValueError, RecursionError) as error:
        raise NotJSON("not_json", str(error)[:200]) from error


def _fenced(answer: str) -> Iterator[tuple[str, str]]:
    """Mark and text of each block that is closed; line by line, since a pattern would look for each end to the last."""
    mark: str | None = None
    lines: list[str] = []
    for line in answer.replace("\r\n", "\n").split("\n"):
        fence = _FENCE.fullmatch(line)
        if mark is None:
            mark, lines = (fence[1] if fence else None), []
        elif fence and not fence[1]:
            yield mark, "\n".join(lines)
            mark = None
        else:
            lines.append(line)


def _refused(name: str) -> Any:
    raise ValueError(f"{name} is no JSON")


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        times = Counter(key for key, _ in pairs)
        raise ValueError(f"the key {next(key for key in times if times[key] > 1)!r} stands there twice")
    return found


def _whole(digits: str) -> int | float:
    return int(digits) if len(digits) <= _MOST_DIGITS else float(digits)
