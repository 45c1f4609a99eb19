"""Self-Instruct (arXiv 2212.10560): a few human tasks in, thousands of new tasks with inputs and outputs out.

The pool grows in rounds: each request shows a mix of human and machine-made tasks, what comes back is filtered by the
paper's rules and by ROUGE-L against everything so far, and each accepted task is solved. Deviations: replies are parsed
by their structure, not by stop strings ("16." would cut "in 2016."); only the first letter is made upper case, since
``str.capitalize`` lower-cases proper nouns. The output-first branch for classification tasks is to come behind the same
name; until then they are solved like the others.
"""

from __future__ import annotations

import logging
import random
from collections.abc import AsyncIterator, Iterable

import msgspec

from datagen.aio import ordered_map
from datagen.errors import LLMError
from datagen.llm.base import Reply
from datagen.llm.client import LLM
from datagen.record import Answer, Message, Record, instruction
from datagen.stage import PromptName
from datagen.text.formats import joined
from datagen.text.parsing import INSTANCES, LISTS, choose
from datagen.text.tasks import TaskPool, capitalised, flaw, instance_flaws, one_line
from datagen.text.words import scoped

logger = logging.getLogger("datagen")
_SOURCE = "self_instruct"


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
    """The instances of ``count`` new tasks (one may have several, or lose all to cleaning), and all that was rejected.

    ``records`` are the seed tasks; they are not yielded. An instance names the examples of its request as parents; its
    labels hold its task, input, round and nearest older task. Stops early, and says so, after ``max_idle_rounds``
    rounds without a new task. Same seeds, rng and replies: the same records.
    """
    pool = TaskPool(((scoped(record, "task"), record.id) for record in records), novelty)
    rounds = idle = 0
    while len(pool.machine) < count and idle < max_idle_rounds and pool.human:
        first = rounds * prompts_per_round
        requests = [
            (first + number, pool.examples(rng, human_examples, machine_examples))
            for number in range(prompts_per_round)
        ]
        fresh: list[Record] = []
        async for candidate in _proposed(requests, llm, tasks_prompt, pool):
            judged = candidate if candidate.dropped else _judged(candidate, pool, count, min_words, max_words)
            if judged.dropped:
                yield judged
            else:
                near = pool.accept(judged.instruction, judged.id)
                fresh.append(judged.labelled(round=rounds, **(near._asdict() if near else {})))
        async for task, reply in ordered_map(
            lambda task: _solved(task, llm, instances_prompt), fresh, window=llm.window
        ):
            solutions = _instances(task, reply, llm, instances_prompt, max_instances, rng)
            pool.ids[task.instruction] = next((one for one in solutions if not one.dropped), solutions[0]).id
            for record in solutions:
                yield record
        rounds, idle = rounds + 1, 0 if fresh else idle + 1
    if len(pool.machine) < count:
        why = f"nothing new in {idle} rounds" if pool.human else "there is no seed task"
        logger.warning("self_instruct: stopped at %d of %d tasks: %s", len(pool.machine), count, why)


async def _proposed(
    requests: list[tuple[int, list[str]]], llm: LLM, prompt: PromptName, pool: TaskPool
) -> AsyncIterator[Record]:
    """The tasks of a round's replies in order; a reply that cannot be used comes as one dropped record."""
    template = llm.prompt(prompt)
    parse = choose(template.parser, LISTS, where=template.path)

    async def ask(request: tuple[int, list[str]]) -> Reply | LLMError:
        number, examples = request
        try:
            return await llm.ask(prompt, sample=number, examples=examples, next=len(examples) + 1)
        except LLMError as error:
            return error

    replies = [reply async for reply in ordered_map(ask, requests, window=len(requests))]
    for (number, examples), reply in zip(requests, replies, strict=True):
        parents = tuple(pool.ids[example] for example in examples)
        if isinstance(reply, LLMError):
            asked = template.render(examples=examples, next=len(examples) + 1)
            failed = Record(tuple(asked), source=_SOURCE, parents=parents)
            yield failed.drop(f"self_instruct:{reply.reason}", request=number, **reply.evidence)
            continue
        tasks = [] if reply.finish_reason == "length" else parse(reply.text, len(examples) + 1)
        for task in tasks:
            text = capitalised(one_line(task))
            yield instruction(text, source=_SOURCE, parents=parents, labels={"request": number})
        if not tasks:
            why = "truncated" if reply.finish_reason == "length" else "unparsed"
            unread = instruction(reply.text, source=_SOURCE, parents=parents)
            yield unread.drop(f"self_instruct:{why}", raw=reply.text, request=number)


def _judged(task: Record, pool: TaskPool, count: int, min_words: int, max_words: int) -> Record:
    if why := flaw(task.instruction, min_words, max_words):
        return task.drop(f"self_instruct:{why}")
    if near := pool.nearest(task.instruction):
        return task.drop("self_instruct:similar", **near._asdict())
    return task.drop("self_instruct:surplus", count=count) if len(pool.machine) == count else task


async def _solved(task: Record, llm: LLM, prompt: PromptName) -> tuple[Record, Reply | LLMError]:
    try:
        return task, await llm.ask(prompt, instruction=task.instruction)
    except LLMError as error:
        return task, error


def _instances(
    task: Record, reply: Reply | LLMError, llm: LLM, prompt: PromptName, most: int, rng: random.Random
) -> list[Record]:
    """One record for each instance in the reply, cleaned; the task itself, dropped, where there is none."""
    if isinstance(reply, LLMError):
        return [task.drop(f"self_instruct:{reply.reason}", **reply.evidence)]
    template = llm.prompt(prompt)
    found = choose(template.parser, INSTANCES, where=template.path)(reply.text)
    flaws = instance_flaws(found, truncated=reply.finish_reason == "length")
    good = [at for at, why in enumerate(flaws) if not why]
    chosen = set(rng.sample(good, most) if len(good) > most else good)
    if not found:
        return [task.drop("self_instruct:no_instance", raw=reply.text)]
    records = []
    for at, (instance, why) in enumerate(zip(found, flaws, strict=True)):
        record = msgspec.structs.replace(
            task.labelled(instruction=task.instruction, input=instance.input),
            prompt=(Message("user", joined(task.instruction, instance.input)),),
            answers=(Answer(instance.output, model=reply.model),),
        )
        reason = why or ("" if at in chosen else "surplus_instance")
        records.append(record.drop(f"self_instruct:{reason}", raw=reply.text) if reason else record)
    return records
