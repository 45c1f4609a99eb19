"""Self-Instruct's second half: is a task one of classification, and its instances, cleaned.

A classification task is asked output-first (each label, then an input for it), or a model would give one label to
nearly every input; all other tasks input-first. Where the reply does not say which it is, the task is solved
input-first, as in the original code, and bears no verdict.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple

import msgspec

from datagen.errors import LLMError
from datagen.llm import trail
from datagen.llm.base import Reply
from datagen.llm.client import LLM
from datagen.record import Answer, Message, Record
from datagen.text.formats import joined
from datagen.text.parsing import DECISIONS, INSTANCES, Instance, choose
from datagen.text.task_blocks import CLASSES
from datagen.text.tasks import asked_part, instance_flaws


class Solved(NamedTuple):
    """A task, labelled with what it is; the reply that holds its instances, if one was needed; the calls made."""

    task: Record
    reply: Reply | LLMError | None
    parse: Callable[[str], list[Instance]]
    calls: list[str]


@dataclass(frozen=True)
class Solving:
    """The prompts of the three questions, and how many instances a task may have."""

    llm: LLM
    classification: str
    input_first: str
    output_first: str
    most: int

    async def solve(self, task: Record) -> Solved:
        """Ask for a task's instances, unless it came with one. Raises ``ConfigError`` where a parser does not fit."""
        classified, parse = task, self._parser(self.input_first)
        if task.answers:
            return Solved(task, None, parse, [])
        with trail.following() as calls:
            try:
                is_classification = await self._is_classification(task)
                if is_classification is not None:
                    classified = task.labelled(is_classification=is_classification)
                name = self.input_first
                if is_classification:
                    name, parse = self.output_first, self._parser(self.output_first)
                return Solved(classified, await self.llm.ask(name, instruction=task.instruction), parse, calls)
            except LLMError as error:
                return Solved(classified, error, parse, calls)

    async def _is_classification(self, task: Record) -> bool | None:
        template = self.llm.prompt(self.classification)
        if template.skipped:
            return None
        decide = choose(template.parser, DECISIONS, where=template.path)
        return decide((await self.llm.ask(self.classification, instruction=task.instruction)).text)

    def _parser(self, prompt: str) -> Callable[[str], list[Instance]]:
        template = self.llm.prompt(prompt)
        return choose(template.parser, {**INSTANCES, **CLASSES}, where=template.path)

    def records(self, solved: Solved, rng: random.Random) -> list[Record]:
        """One record for each instance in the reply, cleaned; the task itself, dropped, where there is none.

        The first that is dropped keeps the reply, which all of them have in common and which may be long.
        """
        return [trail.link(record, solved.calls, of=solved.task) for record in self._records(solved, rng)]

    def _records(self, solved: Solved, rng: random.Random) -> list[Record]:
        task, reply, parse, _ = solved
        if reply is None:
            return [task]
        if isinstance(reply, LLMError):
            return [task.drop(f"self_instruct:{reply.reason}", **reply.evidence)]
        part = asked_part(reply.text, task.instruction)
        found = parse(part)
        flaws = instance_flaws(found, truncated=reply.finish_reason == "length" and reply.text.endswith(part))
        good = [at for at, why in enumerate(flaws) if not why]
        chosen = set(rng.sample(good, self.most) if len(good) > self.most else good)
        if not found:
            return [task.drop("self_instruct:no_instance", raw=reply.text)]
        records = []
        raw = {"raw": reply.text}
        for at, (instance, why) in enumerate(zip(found, flaws, strict=True)):
            record = msgspec.structs.replace(
                task.labelled(instruction=task.instruction, input=instance.input),
                prompt=(Message("user", joined(task.instruction, instance.input)),),
                answers=(Answer(instance.output, model=reply.model),),
            )
            reason = why or ("" if at in chosen else "surplus_instance")
            records.append(record.drop(f"self_instruct:{reason}", **raw) if reason else record)
            raw = {} if reason else raw
        return records
