"""One model's answer to a test prompt, greedy."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import islice

from datagen.errors import ConfigError, LLMError, StageError
from datagen.llm.client import LLM
from datagen.record import Record
from datagen.stage import Rows


async def answer_or_reason(llm: LLM, prompt: str, record: Record, max_tokens: int) -> tuple[str, str]:
    """The model's answer and an empty string, or an empty answer and why the request failed."""
    sampling = {"temperature": 0, "max_tokens": max_tokens}
    try:
        reply = await llm.ask(prompt, sampling=sampling, prompt=record.prompt)
    except LLMError as error:
        return "", error.reason
    return reply.text.strip(), ""


def first_rows(data: Rows, limit: int | None) -> islice[Record]:
    """The first ``limit`` rows, or all. Raises ``ConfigError`` where there are none."""
    if limit is not None and limit < 1:
        raise ConfigError(f"limit: must be at least 1, not {limit}")
    if not len(data):
        raise ConfigError("nothing to evaluate on: no rows")
    return islice(data, limit)


def check_reached(llm: LLM, reasons: Sequence[str]) -> None:
    """Raises ``StageError`` where every request to a model failed: that is no score of 0, but no measurement."""
    if reasons and all(reasons):
        raise StageError(
            f"every request to {llm.model} failed, most recently with {reasons[-1]}; mend that and run again"
        )
