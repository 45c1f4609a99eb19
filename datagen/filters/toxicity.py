"""Drop rows that a local classifier, which the user names, holds to be toxic."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from datagen.errors import ConfigError
from datagen.filters.likelihood import significant
from datagen.record import Record
from datagen.stage import ModelName
from datagen.text.label_scores import LabelModel
from datagen.text.local_scores import blocks


def check(arguments: dict[str, Any]) -> None:
    """Raises ``ConfigError`` for a threshold that no probability can reach, or every one does."""
    if not 0 < arguments["threshold"] <= 1:
        raise ConfigError(f"toxicity: threshold: {arguments['threshold']} is no probability above 0, up to 1")


def toxicity(
    records: Iterable[Record],
    *,
    model: ModelName,
    label: str | None = None,
    threshold: float = 0.5,
    prompt: bool = False,
    max_tokens: int | None = None,
    device: str = "auto",
) -> Iterator[Record]:
    """Rows none of whose answers (nor, with ``prompt``, turns of the prompt) reaches ``threshold``; each answer is
    scored as ``toxicity``.

    ``model`` is any sequence classifier, a folder or a hub's name, and ``label`` the one of its labels that counts (a
    model with a single label needs none). The score is that label's probability; a text longer than ``max_tokens``
    (null: the model's context) is read in windows, of which the worst counts. Reasons: ``answer``, ``prompt``, and
    ``not_finite`` where the model gives no number. What is toxic is the model's opinion: read some of what it drops.
    """
    check({"threshold": threshold})
    loaded = LabelModel(model, label, device=device, max_tokens=max_tokens)
    for block in blocks(records):
        turns = [[turn.content for turn in record.prompt] if prompt else [] for record in block]
        answers = [[answer.content for answer in record.answers] for record in block]
        texts = [*zip(turns, answers, strict=True)]
        found = iter(loaded.scores([text for one, other in texts for text in (*one, *other)]))
        for record, (asked, said) in zip(block, texts, strict=True):
            of_prompt = [significant(next(found)) for _ in asked]
            yield _judged(record, of_prompt, [significant(next(found)) for _ in said], threshold)


def _judged(record: Record, of_prompt: list[float], of_answers: list[float], threshold: float) -> Record:
    if not all(map(math.isfinite, (*of_prompt, *of_answers))):
        return record.drop("toxicity:not_finite")
    scored = [answer.scored("toxicity", one) for answer, one in zip(record.answers, of_answers, strict=True)]
    record = msgspec.structs.replace(record, answers=tuple(scored))
    for why, scores in (("answer", of_answers), ("prompt", of_prompt)):
        if scores and max(scores) >= threshold:
            worst = max(scores)
            return record.drop(f"toxicity:{why}", score=worst, at=scores.index(worst), threshold=threshold)
    return record
