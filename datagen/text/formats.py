"""Rows of the field's file formats as records. Pure: one row in, its records out, or a ``ValueError``.

A format takes the columns it knows; what else a row has is kept in the record's labels.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Set
from dataclasses import dataclass
from itertools import takewhile
from typing import Any, Literal

import msgspec
import orjson

from datagen.record import Answer, Message, Record

Row = Mapping[str, Any]
FormatName = Literal["records", "alpaca", "messages", "self_instruct", "preference", "plain"]

_ROLES = {"human": "user", "prompter": "user", "gpt": "assistant", "chatgpt": "assistant", "bot": "assistant"}
_ROLES |= {role: role for role in ("system", "user", "assistant")}
_PROMPTS = ("prompt", "instruction", "question", "query", "input", "text")
_ALPACA = frozenset(("instruction", "input", "output"))
_ANSWERS = ("answer", "output", "response", "completion", "target")


@dataclass(frozen=True)
class Format:
    """``fits`` tells from a row's keys, ``read`` gives the row's records."""

    columns: str
    fits: Callable[[Row], bool]
    read: Callable[[Row], list[Record]]


def detect(row: Row) -> FormatName | None:
    """The first format that a row's keys fit."""
    return next((name for name, form in FORMATS.items() if form.fits(row)), None)


def joined(instruction: str, input: str) -> str:
    """A task and its input as one user turn."""
    return f"{instruction}\n{input}" if input else instruction


def checked(record: Record) -> Record:
    """The record, its drop mark cleared. Raises ``ValueError`` where the prompt does not end with the user's turn."""
    if not record.prompt or record.prompt[-1].role != "user":
        raise ValueError("the prompt does not end with a user turn")
    return msgspec.structs.replace(record, dropped=None) if record.dropped else record


def _read_record(row: Row) -> list[Record]:
    if isinstance(row.get("labels"), str):  # Parquet: see datagen.text.shapes
        answers = [{**one, "scores": orjson.loads(one["scores"]), "notes": orjson.loads(one["notes"])}
                   for one in row["answers"]]  # fmt: skip
        row = {**row, "answers": answers, "labels": orjson.loads(row["labels"])}
    return [checked(msgspec.convert(row, Record))]


def _read_alpaca(row: Row) -> list[Record]:
    instruction, input = _text(row, "instruction"), _text(row, "input", "")
    labels = {**_rest(row, _ALPACA), "instruction": instruction, "input": input}
    return [_record(joined(instruction, input), _answers(row.get("output")), labels)]


def _read_self_instruct(row: Row) -> list[Record]:
    instruction, instances = _text(row, "instruction"), row["instances"]
    if not isinstance(instances, list):
        raise ValueError("instances is not a list")
    labels = {**_rest(row, {"instruction", "instances"}), "instruction": instruction}
    if not instances:
        return [_record(instruction, (), {**labels, "input": ""})]
    found = []
    for instance in instances:
        input = _text(instance, "input", "")
        found.append(_record(joined(instruction, input), _answers(instance.get("output")), {**labels, "input": input}))
    return found


def _read_messages(row: Row) -> list[Record]:
    column = "messages" if "messages" in row else "conversations"
    turns = _messages(row[column])
    if isinstance(system := row.get("system"), str) and system and turns[:1] and turns[0].role != "system":
        turns = (Message("system", system), *turns)
    answers = (turns[-1].content,) if turns and turns[-1].role == "assistant" else ()
    return [_record(turns[:-1] if answers else turns, answers, _rest(row, {column, "system"}))]


def _read_preference(row: Row) -> list[Record]:
    chosen, rejected = row["chosen"], row["rejected"]
    if isinstance(chosen, list) and isinstance(rejected, list):
        chosen, rejected = _messages(chosen), _messages(rejected)
        if not chosen or not rejected:
            raise ValueError("chosen or rejected is empty")
        prompt = row.get("prompt", chosen[:-1])
        chosen, rejected = chosen[-1].content, rejected[-1].content
    else:
        chosen, rejected = _text(row, "chosen"), _text(row, "rejected")
        prompt = row["prompt"] if "prompt" in row else _shared_start(chosen, rejected)
        if "prompt" not in row:  # TRL's implicit prompt: what both begin with
            chosen, rejected = chosen[len(prompt) :], rejected[len(prompt) :]
        if not prompt:
            raise KeyError("prompt")
    turns = prompt if isinstance(prompt, str | tuple) else _messages(prompt)
    return [_record(turns, (chosen, rejected), _rest(row, {"prompt", "chosen", "rejected"}))]


def _shared_start(one: str, other: str) -> str:
    same = takewhile(lambda pair: pair[0] == pair[1], zip(one, other, strict=False))
    return "".join(character for character, _ in same)


def _read_plain(row: Row) -> list[Record]:
    prompt_key = next(key for key in _PROMPTS if key in row)
    answer_key = next((key for key in _ANSWERS if key in row), "")
    prompt = row[prompt_key]
    turns = _messages(prompt) if isinstance(prompt, list) else _text(row, prompt_key)
    return [_record(turns, _answers(row.get(answer_key)), _rest(row, {prompt_key, answer_key}))]


def _record(prompt: str | Iterable[Message], answers: Iterable[str], labels: dict[str, Any]) -> Record:
    given = tuple(map(Answer, answers))
    if isinstance(prompt, str):
        return Record((Message("user", prompt),), given, labels=labels)
    return checked(Record(tuple(prompt), given, labels=labels))


def _messages(turns: Any) -> tuple[Message, ...]:
    if not isinstance(turns, list):
        raise ValueError("the messages are not a list")
    found = []
    for number, turn in enumerate(turns):
        if isinstance(turn, str):  # LIMA: bare texts that take turns
            found.append(Message("assistant" if number % 2 else "user", turn))
            continue
        role = str(turn["role"] if "role" in turn else turn["from"])
        if role.casefold() not in _ROLES:
            raise ValueError(f"role {role!r} is none of {', '.join(_ROLES)}")
        found.append(Message(_ROLES[role.casefold()], _text(turn, "content" if "content" in turn else "value")))
    return tuple(found)


def _answers(value: Any) -> tuple[str, ...]:
    """One text, several, or none."""
    if isinstance(value, str):
        return (value,)
    values = value if isinstance(value, list) else [] if value is None else [value]
    if len(values) == 1 and isinstance(values[0], dict):  # TRL's conversational completion
        return tuple(turn.content for turn in _messages(values))
    if not all(isinstance(answer, str) for answer in values):
        raise ValueError("an answer is not a text")
    return tuple(values)


def _text(row: Row, key: str, default: str | None = None) -> str:
    value = row.get(key, default)
    if value is None and default is not None:
        return default
    if not isinstance(value, str):
        raise ValueError(f"{key} is {'missing' if value is None else 'not a text'}")
    return value


def _rest(row: Row, used: Set[str]) -> dict[str, Any]:
    if row.keys() <= used:
        return {}
    return {key: value for key, value in row.items() if key not in used and value is not None}


def _has(*keys: str) -> Callable[[Row], bool]:
    return lambda row: all(key in row for key in keys)


FORMATS: dict[FormatName, Format] = {
    "records": Format(
        "prompt (a list of messages), answers, ...",
        lambda row: isinstance(row.get("prompt"), list) and ("answers" in row or "id" in row) and "chosen" not in row,
        _read_record,
    ),
    "self_instruct": Format("instruction, instances", _has("instruction", "instances"), _read_self_instruct),
    "alpaca": Format("instruction, input, output", _has("instruction", "input"), _read_alpaca),
    "messages": Format(
        "messages or conversations",
        lambda row: "messages" in row or "conversations" in row,
        _read_messages,
    ),
    "preference": Format("prompt, chosen, rejected", _has("chosen", "rejected"), _read_preference),
    "plain": Format(
        f"one of {', '.join(_PROMPTS)} and one of {', '.join(_ANSWERS)}",
        lambda row: any(key in row for key in _PROMPTS),
        _read_plain,
    ),
}
