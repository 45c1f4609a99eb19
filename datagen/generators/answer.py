"""Ask an LLM for answers to a prompt: one for SFT, several for ranking, preferences or rejection sampling."""

from __future__ import annotations

import asyncio
from typing import Any

from datagen.errors import ConfigError
from datagen.llm.client import LLM
from datagen.record import Answer, Record
from datagen.stage import PromptName
from datagen.text.echo import said_again


def check(arguments: dict[str, Any]) -> None:
    """Raises ``ConfigError`` where no answer is asked for."""
    if arguments["samples"] < 1:
        raise ConfigError(f"answer: samples: {arguments['samples']} is not 1 or more")


async def answer(
    record: Record,
    *,
    llm: LLM,
    samples: int = 1,
    prompt: PromptName = PromptName("answer/answer"),
    sampling: dict[str, Any] | None = None,
) -> list[Record]:
    """A child of the record with ``samples`` fresh answers in place of its own.

    An answer cut at max_tokens, empty, or the prompt said again is left out; where none is left the record is dropped
    with what came.
    """
    ask = [llm.ask(prompt, sample=k, sampling=sampling, prompt=record.prompt) for k in range(samples)]
    replies = await asyncio.gather(*ask) if samples > 1 else [await ask[0]]
    whole = [reply for reply in replies if reply.finish_reason != "length"]
    given = [reply for reply in whole if reply.text.strip()]
    answers = [
        Answer(reply.text.strip(), model=reply.model)
        for reply in given
        if not said_again(reply.text, record.instruction)
    ]
    if not answers:
        why = "echoed" if given else "empty" if whole else "truncated"
        return [record.drop(f"answer:{why}", raw=[reply.text for reply in replies])]
    return [record.with_answers(answers)]
