"""Records as the rows that trainers read: dialogues for SFT, pairs, rankings, prompts alone."""

from __future__ import annotations

import hashlib
import random
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import msgspec

from datagen.errors import ConfigError
from datagen.record import Message, Record
from datagen.stage import Rows

Row = dict[str, Any]
Convert = Callable[[Record], "Row | str"]


@dataclass
class Written:
    """What was written for training: the card and the metrics quote it."""

    rows: int = 0
    eval_rows: int = 0
    digest: str = ""
    sources: Counter[str] = field(default_factory=Counter)
    refused: Counter[str] = field(default_factory=Counter)


def sft_row(record: Record) -> Row | str:
    """The whole dialogue as ``messages``, or why the record cannot be trained on."""
    if not record.prompt or record.prompt[-1].role != "user":
        return "prompt_without_user_turn"
    if not record.answers:
        return "no_answer"
    if not record.answer.strip():
        return "empty_answer"
    return {"messages": _turns((*record.prompt, Message("assistant", record.answer)))}


def preference_row(record: Record) -> Row | str:
    """``prompt, chosen, rejected`` from the first two answers (best first), or why the record is no pair."""
    if not record.prompt or record.prompt[-1].role != "user":
        return "prompt_without_user_turn"
    if len(record.answers) < 2:
        return "fewer_than_two_answers"
    chosen, rejected = record.answers[0].content, record.answers[1].content
    if not chosen.strip() or not rejected.strip():
        return "empty_answer"
    if chosen.strip() == rejected.strip():
        return "equal_answers"
    return {
        "prompt": _turns(record.prompt),
        "chosen": _turns((Message("assistant", chosen),)),
        "rejected": _turns((Message("assistant", rejected),)),
    }


def ranking_row(record: Record) -> Row | str:
    """``prompt`` and its ``answers``, best first, or why the record is no ranking.

    Of answers that are equal, or that ``filters.rank`` could not tell apart, the first stands for all: a strict order
    is what is learned.
    """
    if not record.prompt or record.prompt[-1].role != "user":
        return "prompt_without_user_turn"
    if len(record.answers) < 2:
        return "fewer_than_two_answers"
    texts = [answer.content.strip() for answer in record.answers]
    if not all(texts):
        return "empty_answer"
    ranks = [answer.scores.get("rank", f"place {place}") for place, answer in enumerate(record.answers)]
    ordered = [at for at in range(len(texts)) if texts[at] not in texts[:at] and ranks[at] not in ranks[:at]]
    if len(ordered) < 2:
        return "equal_answers"
    answers = [_turns((Message("assistant", record.answers[at].content),)) for at in ordered]
    return {"prompt": _turns(record.prompt), "answers": answers}


def prompt_row(record: Record) -> Row | str:
    """The ``prompt`` alone, or why it cannot be answered."""
    if not record.prompt or record.prompt[-1].role != "user":
        return "prompt_without_user_turn"
    return {"prompt": _turns(record.prompt)} if record.instruction.strip() else "empty_prompt"


def pretraining_row(record: Record) -> Row | None:
    """The dialogue of a record as ``messages``, or its plain ``text`` where it has no answer; None without words."""
    row = sft_row(record)
    if isinstance(row, dict):
        return row
    return {"text": record.instruction} if record.prompt and record.instruction.strip() else None


def write_rows(data: Rows, convert: Convert, out: Path, *, eval_share: float, rng: random.Random) -> Written:
    """Write ``train.jsonl`` and, for a positive ``eval_share``, ``eval.jsonl``; the split is drawn from ``rng``.

    Records that cannot be trained on are counted by reason and left out. Raises ``ConfigError`` where none is left.
    """
    if not 0 <= eval_share < 1:
        raise ConfigError(f"eval_share: must be at least 0 and below 1, not {eval_share}")
    held_out = frozenset(rng.sample(range(len(data)), round(len(data) * eval_share)))
    written, hasher = Written(), hashlib.sha256()
    with (out / "train.jsonl").open("wb") as train, (out / "eval.jsonl").open("wb") as held:
        for number, (record, row) in enumerate(_converted(data, convert)):
            if isinstance(row, str):
                written.refused[row] += 1
                continue
            line = msgspec.json.encode(row) + b"\n"
            if number in held_out:
                held.write(line)
                written.eval_rows += 1
                continue
            train.write(line)
            hasher.update(line)
            written.rows += 1
            written.sources[record.source or "as read"] += 1
    if not written.eval_rows:
        (out / "eval.jsonl").unlink()
    if not written.rows:
        why = ", ".join(f"{reason} {count}" for reason, count in written.refused.most_common()) or "no rows at all"
        raise ConfigError(f"nothing to train on: {why}; check what the stage above makes")
    written.digest = hasher.hexdigest()
    return written


def _converted(data: Iterable[Record], convert: Convert) -> Iterator[tuple[Record, Row | str]]:
    for record in data:
        yield record, convert(record)


def _turns(messages: Iterable[Message]) -> list[dict[str, str]]:
    return [{"role": message.role, "content": message.content} for message in messages]
