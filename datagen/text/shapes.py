"""Records as the rows that trainers and other tools read: TRL's types, plain and conversational, Alpaca, ShareGPT.

The types are those of TRL's page "Dataset formats and types", without stepwise supervision: no trainer of TRL 1.16
takes it, and no stage labels steps. ``trl-...-text`` is the standard (plain text) form: the prompt ends with an empty
line, because trainers put the answer right behind it. Pure: one record in, its rows out, or why it has none.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Literal

import orjson

from datagen.record import Answer, Message, Record
from datagen.text.formats import joined

Row = dict[str, Any]
Column = Literal["text", "texts", "truth", "turns", "sharegpt", "answers"]
Write = Callable[[Record], "list[Row] | str"]

_SEPARATOR = "\n\n"


@dataclass(frozen=True)
class Shape:
    """``rows`` gives a record's rows, or the reason why it has none; ``answers`` says how many of its it holds."""

    rows: Write
    columns: Mapping[str, Column]
    answers: int
    task: str = ""
    """What a trainer does with it, in the hub's words for a card's tags."""


def lost(record: Record, name: str) -> Iterator[str]:
    """What a shape cannot hold of a record that it has rows for."""
    if name == "records":
        return
    if len(record.answers) > SHAPES[name].answers:
        yield "further answers" if SHAPES[name].answers else "answers"
    if any(answer.scores for answer in record.answers):
        yield "scores"
    if any(answer.notes for answer in record.answers):
        yield "notes"
    if record.labels.keys() - ({"instruction", "input"} if name == "alpaca" else set()):
        yield "labels"
    if record.source or record.parents:
        yield "lineage"


def _messages(record: Record) -> list[Row] | str:
    return [{"messages": _turns([*record.prompt, *_said(record.answers[:1])])}]


def _sharegpt(record: Record) -> list[Row] | str:
    names = {"user": "human", "assistant": "gpt"}
    turns = [*record.prompt, *_said(record.answers[:1])]
    return [{"conversations": [{"from": names.get(turn.role, turn.role), "value": turn.content} for turn in turns]}]


def _alpaca(record: Record) -> list[Row] | str:
    if len(record.prompt) > 1:
        return "several_turns"
    instruction, input = record.labels.get("instruction", record.instruction), record.labels.get("input", "")
    if joined(instruction, input) != record.instruction:  # an evolved or translated prompt outgrew its labels
        instruction, input = record.instruction, ""
    return [{"instruction": instruction, "input": input, "output": record.answer}]


def _text(record: Record) -> list[Row] | str:
    if len(record.prompt) > 1:
        return "several_turns"
    return [{"text": _plain(record) + record.answer}] if record.answers else "no_answer"


def _prompt(record: Record) -> list[Row] | str:
    return [{"prompt": _turns(record.prompt)}]


def _completion(record: Record) -> list[Row] | str:
    if not record.answers:
        return "no_answer"
    return [{"prompt": _turns(record.prompt), "completion": _turns(_said(record.answers[:1]))}]


def _preference(record: Record) -> list[Row] | str:
    if len(record.answers) < 2:
        return "fewer_than_two_answers"
    chosen, rejected = (_turns(_said([answer])) for answer in record.answers[:2])
    return [{"prompt": _turns(record.prompt), "chosen": chosen, "rejected": rejected}]


def _unpaired(record: Record) -> list[Row] | str:
    """One row for the label ``label`` where it is true or false, else the better and the worse of the first two."""
    label = record.labels.get("label")
    if isinstance(label, bool) and record.answers:
        judged = [(record.answers[0], label)]
    elif len(record.answers) > 1:
        judged = [(record.answers[0], True), (record.answers[1], False)]
    else:
        return "neither_label_nor_two_answers"
    prompt = _turns(record.prompt)
    return [{"prompt": prompt, "completion": _turns(_said([answer])), "label": good} for answer, good in judged]


def _implicit(write: Write) -> Write:
    """The prompt said twice, before each answer, instead of in a column of its own."""

    def rows(record: Record) -> list[Row] | str:
        made = write(record)
        if isinstance(made, str):
            return made
        return [{side: row["prompt"] + row[side] for side in ("chosen", "rejected")} for row in made]

    return rows


def _as_text(write: Write) -> Write:
    """Texts where ``write`` has turns."""

    def rows(record: Record) -> list[Row] | str:
        if len(record.prompt) > 1:
            return "several_turns"
        made = write(record)
        if isinstance(made, str):
            return made
        texts = [{key: v if isinstance(v, bool) else v[-1]["content"] for key, v in row.items()} for row in made]
        return [{**row, "prompt": _plain(record)} for row in texts]

    return rows


def _records(record: Record) -> list[Row] | str:
    """In columns of one type each: scores, notes and labels, whose names differ from row to row, as JSON texts."""
    answers = [
        {"content": one.content, "model": one.model, "scores": _json(one.scores), "notes": _json(one.notes)}
        for one in record.answers
    ]
    row: Row = {"id": record.id, "prompt": _turns(record.prompt), "answers": answers, "source": record.source}
    return [{**row, "parents": list(record.parents), "language": record.language, "labels": _json(record.labels)}]


def _json(value: Any) -> str:
    return orjson.dumps(value).decode()


def _plain(record: Record) -> str:
    return record.instruction + _SEPARATOR


def _said(answers: Iterable[Answer]) -> list[Message]:
    return [Message("assistant", answer.content) for answer in answers]


def _turns(messages: Iterable[Message]) -> list[dict[str, str]]:
    return [{"role": message.role, "content": message.content} for message in messages]


_PAIR: dict[str, Column] = {"prompt": "turns", "chosen": "turns", "rejected": "turns"}
_PAIR_TEXT: dict[str, Column] = dict.fromkeys(_PAIR, "text")
_JUDGED: dict[str, Column] = {"prompt": "turns", "completion": "turns", "label": "truth"}
_RECORD: dict[str, Column] = {"id": "text", "prompt": "turns", "answers": "answers", "source": "text"}
_RECORD |= {"parents": "texts", "language": "text", "labels": "text"}

SHAPES: dict[str, Shape] = {
    "records": Shape(_records, _RECORD, answers=0),
    "messages": Shape(_messages, {"messages": "turns"}, answers=1, task="sft"),
    "alpaca": Shape(_alpaca, dict.fromkeys(("instruction", "input", "output"), "text"), answers=1, task="sft"),
    "sharegpt": Shape(_sharegpt, {"conversations": "sharegpt"}, answers=1, task="sft"),
    "trl-text": Shape(_text, {"text": "text"}, answers=1, task="sft"),
    "trl-prompt": Shape(_prompt, {"prompt": "turns"}, answers=0),
    "trl-prompt-text": Shape(_as_text(_prompt), {"prompt": "text"}, answers=0),
    "trl-completion": Shape(_completion, {"prompt": "turns", "completion": "turns"}, answers=1, task="sft"),
    "trl-completion-text": Shape(
        _as_text(_completion), {"prompt": "text", "completion": "text"}, answers=1, task="sft"
    ),
    "trl-preference": Shape(_preference, _PAIR, answers=2, task="dpo"),
    "trl-preference-text": Shape(_as_text(_preference), _PAIR_TEXT, answers=2, task="dpo"),
    "trl-preference-implicit": Shape(
        _implicit(_preference), {"chosen": "turns", "rejected": "turns"}, answers=2, task="dpo"
    ),
    "trl-preference-implicit-text": Shape(
        _implicit(_as_text(_preference)), {"chosen": "text", "rejected": "text"}, answers=2, task="dpo"
    ),
    "trl-unpaired": Shape(_unpaired, _JUDGED, answers=2, task="kto"),
    "trl-unpaired-text": Shape(
        _as_text(_unpaired), {"prompt": "text", "completion": "text", "label": "truth"}, answers=2, task="kto"
    ),
}
"""By the name that ``--format`` takes. ``messages`` is TRL's conversational language modelling, and OpenAI's."""
