"""Self-Instruct (arXiv 2212.10560): a few human tasks in, thousands of new tasks with inputs and outputs out.

The pool grows in rounds: each request shows a mix of human and machine-made tasks, what comes back is filtered by the
paper's heuristics and by ROUGE-L against everything so far, and each accepted task is solved. Deviations: replies are
parsed by structure, not by stop strings ("16." would cut "in 2016."); only the first letter is made upper case, since
``str.capitalize`` lower-cases proper nouns. The output-first branch for classification tasks is to come behind the same
name; until then they take the input-first branch.
"""

from __future__ import annotations

import asyncio
import logging
import random
import re
from collections.abc import AsyncIterator, Iterable
from dataclasses import dataclass, field
from typing import Any

from datagen.aio import ordered_map
from datagen.errors import LLMError
from datagen.llm.base import Reply
from datagen.llm.client import LLM
from datagen.record import Answer, Record, instruction
from datagen.rng import derive
from datagen.stage import PromptName
from datagen.text.formats import joined
from datagen.text.parsing import INSTANCES, LISTS, Instance, choose
from datagen.text.rouge import NoveltyPool, tokenize
from datagen.text.words import scoped

logger = logging.getLogger("datagen")

_BLOCKED = re.compile(r"\b(images?|graphs?|pictures?|files?|maps?|draw|plot|go to)\b", re.I)


@dataclass(frozen=True)
class _Task:
    """One task of the pool: human-written (``made_in`` 0) or accepted in a round, with its nearest older task."""

    text: str
    id: str
    made_in: int = 0
    parents: tuple[str, ...] = ()
    labels: dict[str, Any] = field(default_factory=dict)


class _Pool:
    """Tasks in the order they came, and the ROUGE-L index over them."""

    def __init__(self, records: Iterable[Record], novelty: float) -> None:
        self.human: list[_Task] = []
        self.machine: list[_Task] = []
        self._texts: list[str] = []
        self._index = NoveltyPool(novelty)
        seen = set()
        for record in records:
            text = _one_line(scoped(record, "task"))
            if text and text not in seen:
                seen.add(text)
                self.human.append(_Task(text, record.id))
                self._add(text)

    def examples(self, rng: random.Random, human: int, machine: int) -> list[_Task]:
        """Shuffled examples for one request; human ones fill up where there are too few machine-made."""
        made = rng.sample(self.machine, min(machine, len(self.machine)))
        written = rng.sample(self.human, min(human + machine - len(made), len(self.human)))
        return rng.sample(made + written, len(made) + len(written))

    def nearest(self, text: str) -> tuple[str, float] | None:
        """The older task above the threshold, or None."""
        near = self._index.nearest(tokenize(text))
        return near and (self._texts[near[0]], near[1])

    def accept(self, text: str, made_in: int, parents: tuple[str, ...]) -> _Task:
        """Add a novel task."""
        near = self._index.closest(tokenize(text))
        labels = {"similarity": near[1], "neighbour": self._texts[near[0]]} if near else {}
        task = _Task(text, instruction(text).id, made_in, parents, labels)
        self.machine.append(task)
        self._add(text)
        return task

    def _add(self, text: str) -> None:
        self._index.add(tokenize(text))
        self._texts.append(text)


async def self_instruct(
    records: Iterable[Record],
    *,
    llm: LLM,
    rng: random.Random,
    count: int,
    human_examples: int = 6,
    machine_examples: int = 2,
    prompts_per_round: int = 16,
    novelty: float = 0.7,
    min_words: int = 4,
    max_words: int = 150,
    max_instances: int = 5,
    max_idle_rounds: int = 10,
    tasks_prompt: PromptName = PromptName("self_instruct/tasks"),
    instances_prompt: PromptName = PromptName("self_instruct/instances"),
) -> AsyncIterator[Record]:
    """The instances of ``count`` new tasks (a task may have several, or lose all to cleaning), and all that was rejected.

    ``records`` are the seed tasks; they are not yielded. An instance names the examples of its request as parents, and
    its task, input, round and nearest older task in its labels. Stops early, and says so, after ``max_idle_rounds``
    rounds without an accepted task. Same seeds, rng and replies: the same records.
    """
    parse = choose(llm.prompt(tasks_prompt).parser, LISTS, where=tasks_prompt)
    pool = _Pool(records, novelty)
    made_in = idle = 0

    async def asked(request: tuple[int, list[_Task]]) -> Reply | LLMError:
        number, examples = request
        texts = [task.text for task in examples]
        try:
            return await llm.ask(tasks_prompt, sample=number, examples=texts, next=len(texts) + 1)
        except LLMError as error:
            return error

    async def solved(task: _Task) -> list[Record]:
        return await _instances(task, llm, instances_prompt, max_instances, derive(task.id, "instances"))

    while len(pool.machine) < count and idle < max_idle_rounds and pool.human:
        made_in += 1
        requests = []
        for number in range(prompts_per_round):
            examples = pool.examples(rng, human_examples, machine_examples)
            requests.append(((made_in - 1) * prompts_per_round + number, examples))
        before = len(pool.machine)
        replies = await asyncio.gather(*(asked(request) for request in requests))
        for (number, examples), reply in zip(requests, replies, strict=True):
            parents = tuple(task.id for task in examples)
            for text, reason, evidence in _candidates(reply, parse, len(examples) + 1):
                why, found = (reason, evidence) if reason else _rejected(text, min_words, max_words, pool)
                if not why and len(pool.machine) == count:
                    why, found = "surplus", {"count": count}
                if why:
                    rejected = instruction(text, source="self_instruct", parents=parents, labels={"round": made_in})
                    yield rejected.drop(f"self_instruct:{why}", request=number, **found)
                else:
                    pool.accept(text, made_in, parents)
        fresh = pool.machine[before:]
        async for solutions in ordered_map(solved, fresh, window=llm.window):
            for record in solutions:
                yield record
        idle = 0 if fresh else idle + 1
    if len(pool.machine) < count:
        why = f"nothing new in {idle} rounds" if pool.human else "no seed task"
        logger.warning("self_instruct: stopped at %d of %d tasks: %s", len(pool.machine), count, why)
