"""Self-Instruct (arXiv 2212.10560): a few human tasks in, thousands of new tasks with inputs and outputs out.

The pool grows in rounds: each request shows a mix of human and machine-made tasks, what comes back is filtered by the
paper's rules and by ROUGE-L against everything so far, and each accepted task is solved: output-first if it is one of
classification, else input-first. ``style: alpaca`` (Stanford Alpaca, 2023) shows whole human tasks instead and asks for
twenty tasks with input and output in one call. Deviations: replies are parsed by their structure, not by stop strings
("16." would cut "in 2016."); only the first letter is made upper case, since ``str.capitalize`` lower-cases proper
nouns; Self-Instruct's rules for an instance (no output, output equal to input, an end in a colon) hold in Alpaca too;
an instance without an input is dropped where another of its task has one; a round samples from the pool as it was one
round ago; of a task's nearest older ones only the first is kept, not ten; and no request asks for classification tasks
alone, which the original can be told to do (name a ``tasks_prompt`` of your own, and give it such seeds).
"""

from __future__ import annotations

import logging
import random
from collections.abc import AsyncIterator, Iterable
from typing import Any

from datagen.aio import Background
from datagen.errors import ConfigError
from datagen.generators.growth import Growth
from datagen.generators.instances import Solving
from datagen.generators.proposals import Proposing, Style
from datagen.llm.client import LLM
from datagen.record import Record
from datagen.stage import PromptName
from datagen.text.rouge import NoveltyPool
from datagen.text.tasks import TaskPool

logger = logging.getLogger("datagen")

_EXAMPLES: dict[Style, tuple[int, int]] = {"self_instruct": (6, 2), "alpaca": (3, 0)}


def check(arguments: dict[str, Any]) -> None:
    """Raises ``ConfigError`` for requests that could show no example, and for numbers that would make nothing."""
    for name in ("count", "prompts_per_round", "max_instances", "max_idle_rounds"):
        if arguments[name] < 1:
            raise ConfigError(f"self_instruct: {name}: {arguments[name]} is not 1 or more")
    NoveltyPool(arguments["novelty"])
    human, machine = _examples(arguments["style"], arguments["human_examples"], arguments["machine_examples"])
    if human < 0 or machine < 0 or human + machine == 0:
        raise ConfigError(f"self_instruct: {human} human and {machine} machine examples: a request must show some")


async def self_instruct(
    records: Iterable[Record],
    *,
    llm: LLM,
    rng: random.Random,
    count: int,
    style: Style = "self_instruct",
    human_examples: int | None = None,
    machine_examples: int | None = None,
    prompts_per_round: int = 16,
    novelty: float = 0.7,
    min_words: int = 4,
    max_words: int = 150,
    max_instances: int = 5,
    max_idle_rounds: int = 10,
    tasks_prompt: PromptName = PromptName("self_instruct/tasks"),
    classification_prompt: PromptName = PromptName("self_instruct/classification"),
    instances_prompt: PromptName = PromptName("self_instruct/instances"),
    classes_prompt: PromptName = PromptName("self_instruct/classes"),
    alpaca_prompt: PromptName = PromptName("self_instruct/alpaca"),
) -> AsyncIterator[Record]:
    """The instances of ``count`` new tasks (one may have several, or lose all to cleaning), and all that was rejected.

    ``records`` are the seed tasks; they are not yielded. A request shows 6 human and 2 machine-made tasks, or for
    ``style: alpaca`` 3 human ones with their answers. An instance names the examples of its request as parents; its
    labels hold its task, input, round, nearest older task and whether it is classification, for which a prompt pack
    with ``layout: skip`` is not asked. A round is ``prompts_per_round`` requests (5 in the original): a server that
    takes many at once is kept busy by a quarter as many, in ``style: alpaca``, which solves nothing, by twice as many.
    Stops early, and says so, after ``max_idle_rounds`` rounds without a new task.
    Holds the tasks. Same seeds, rng and replies: the same records. Raises ``ConfigError``.
    """
    human, machine = _examples(style, human_examples, machine_examples)
    prompt = alpaca_prompt if style == "alpaca" else tasks_prompt
    proposing = Proposing(llm, style, prompt, human, machine, min_words, max_words)
    solving = Solving(llm, classification_prompt, instances_prompt, classes_prompt, max_instances)
    pool = TaskPool(_shown(records, style), novelty)
    async with Background() as background:
        growth = Growth(proposing, solving, pool, rng, background, count, prompts_per_round, max_idle_rounds)
        async for record in growth.records():
            yield record
    if len(pool.machine) < count:
        why = f"nothing new in {max_idle_rounds} rounds" if pool.human else "there is no seed task"
        logger.warning("self_instruct: stopped at %d of %d tasks: %s", len(pool.machine), count, why)


def _examples(style: Style, human: int | None, machine: int | None) -> tuple[int, int]:
    defaults = _EXAMPLES[style]
    return defaults[0] if human is None else human, defaults[1] if machine is None else machine


def _shown(records: Iterable[Record], style: Style) -> Iterable[Record]:
    """The seeds. Raises ``ConfigError`` for one that Alpaca's prompt cannot show whole."""
    for record in records:
        if style == "alpaca" and not record.answer:
            raise ConfigError(f"self_instruct: style alpaca shows answers, and seed {record.id} has none")
        yield record
