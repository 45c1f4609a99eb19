"""Requests for new tasks, and the candidates in their replies: Self-Instruct's bare tasks, Alpaca's whole ones."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal, NamedTuple

import msgspec

from datagen.errors import LLMError
from datagen.llm import trail
from datagen.llm.base import Reply
from datagen.llm.client import LLM
from datagen.prompts import Prompt
from datagen.record import Answer, Message, Record, instruction
from datagen.text.formats import joined
from datagen.text.parsing import LISTS, Instance, choose
from datagen.text.task_blocks import TASKS, WholeTask
from datagen.text.tasks import (
    ALPACA_BLOCKED,
    SELF_INSTRUCT_BLOCKED,
    TaskPool,
    capitalised,
    flaw,
    instance_flaws,
    one_line,
)
from datagen.text.words import scoped

SOURCE = "self_instruct"
Style = Literal["self_instruct", "alpaca"]


class Request(NamedTuple):
    """One request for new tasks: its number, the tasks that it shows, and these as its prompt wants them."""

    number: int
    examples: list[str]
    variables: dict[str, Any]


class Candidate(NamedTuple):
    """A proposed task, or what cannot be used as one, dropped; the tasks that its request showed; the calls made."""

    record: Record
    examples: list[str]
    calls: list[str]


@dataclass(frozen=True)
class Proposing:
    """How a style asks for tasks: its prompt, how many examples of each kind a request shows, and its rules."""

    llm: LLM
    style: Style
    prompt: str
    human: int
    machine: int
    min_words: int
    max_words: int

    def flaw(self, task: str) -> str:
        """Which of the style's rules a proposed task breaks; empty if none."""
        blocked = ALPACA_BLOCKED if self.style == "alpaca" else SELF_INSTRUCT_BLOCKED
        return flaw(task, self.min_words, self.max_words, blocked)

    def requests(self, numbers: range, pool: TaskPool, rng: random.Random) -> list[Request]:
        """A round's requests, their examples drawn from the pool as it is now."""
        return [self._request(number, pool.examples(rng, self.human, self.machine), pool) for number in numbers]

    def _request(self, number: int, examples: list[str], pool: TaskPool) -> Request:
        shown: Sequence[Any] = examples
        if self.style == "alpaca":
            shown = [_whole(pool.records[example]) for example in examples]
        return Request(number, examples, {"examples": shown, "next": len(examples) + 1})

    async def ask(self, request: Request) -> list[Candidate]:
        """What comes of a request. Raises ``ConfigError``."""
        template = self.llm.prompt(self.prompt)
        read = _reader(self.style, template)
        with trail.following() as calls:
            try:
                reply = await self.llm.ask(self.prompt, sample=request.number, **request.variables)
                found = read(reply, len(request.examples) + 1)
            except LLMError as error:
                asked = Record(tuple(template.render(**request.variables)), source=SOURCE)
                found = [asked.drop(f"{SOURCE}:{error.reason}", **error.evidence)]
        labels = {"request": request.number}
        labelled = [msgspec.structs.replace(one, labels={**labels, **one.labels}) for one in found]
        return [Candidate(one, request.examples, calls) for one in labelled]


def _whole(record: Record) -> dict[str, str]:
    input = record.labels.get("input", "")
    return {"instruction": one_line(scoped(record, "task")), "input": input, "output": record.answer}


def _reader(style: Style, template: Prompt) -> Callable[[Reply, int], list[Record]]:
    if style == "alpaca":
        read = choose(template.parser, TASKS, where=template.path)
        return lambda reply, start: _answered(read(reply.text), reply)
    parse = choose(template.parser, LISTS, where=template.path)
    return lambda reply, start: _bare(parse(reply.text, start), reply)


def _bare(tasks: list[str], reply: Reply) -> list[Record]:
    """Tasks of a list without answers; a list that was cut is not used at all."""
    if reply.finish_reason == "length" or not tasks:
        return [_unread(reply.text, "truncated" if reply.finish_reason == "length" else "unparsed")]
    return [instruction(capitalised(one_line(task)), source=SOURCE) for task in tasks]


def _answered(tasks: list[WholeTask | str], reply: Reply) -> list[Record]:
    """Tasks with their one instance; of a reply that was cut only the last is lost."""
    cut = reply.finish_reason == "length"
    if not tasks:
        return [_unread(reply.text, "truncated" if cut else "unparsed")]
    candidates = [
        _unread(task, "unparsed") if isinstance(task, str) else _candidate(task, reply.model) for task in tasks
    ]
    if cut:
        last = tasks[-1] if isinstance(tasks[-1], str) else candidates[-1].instruction
        candidates[-1] = _unread(last, "truncated")
    return candidates


def _candidate(task: WholeTask, model: str) -> Record:
    text = capitalised(one_line(task.instruction))
    record = Record(
        (Message("user", joined(text, task.input)),),
        (Answer(task.output, model=model),),
        source=SOURCE,
        labels={"instruction": text, "input": task.input},
    )
    (why,) = instance_flaws([Instance(task.input, task.output)], truncated=False)
    return record.drop(f"{SOURCE}:{why}") if why else record


def _unread(text: str, why: str) -> Record:
    return instruction(text, source=SOURCE).drop(f"{SOURCE}:{why}", raw=text)
