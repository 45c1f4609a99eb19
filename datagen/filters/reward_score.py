"""Score answers by a trained reward model, and keep the rows whose answer it likes."""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Iterator
from typing import Any

import msgspec

from datagen import findings
from datagen.filters.likelihood import significant
from datagen.filters.selection import Limits, Selection, check_one_limit, check_share, report
from datagen.record import Record
from datagen.stage import ModelName
from datagen.text.local_scores import LocalModel, blocks


def check(arguments: dict[str, Any]) -> None:
    """Raises ``ConfigError`` for both limits at once, and for a share that is none."""
    check_one_limit("reward_score", min_reward=arguments["min_reward"], keep_top=arguments["keep_top"])
    check_share("reward_score: keep_top", arguments["keep_top"])


def reward_score(
    records: Iterable[Record],
    *,
    model: ModelName,
    rng: random.Random,
    min_reward: float | None = None,
    keep_top: float | None = None,
    max_tokens: int | None = None,
    device: str = "auto",
    control: bool = True,
) -> Iterator[Record]:
    """Records whose first answer has a ``reward`` of ``min_reward`` or more, or the best ``keep_top`` share; else all.

    ``model`` is a stage of ``training.reward``, or any model with a scalar head. All answers of a record are scored, so
    that ``filters.binarise`` can go by ``score: reward``; a reward says how an answer compares with others to the SAME
    prompt, and across prompts only roughly. A row is dropped where one answer is longer than ``max_tokens`` (null: the
    model's context): half an answer has no reward. ``keep_top`` and ``control`` (as in ``grade``) hold all rows.
    """
    check({"min_reward": min_reward, "keep_top": keep_top})
    selection = Selection("reward_score", Limits(min_reward, share=keep_top), rng if control else None, number="reward")
    loaded = LocalModel(model, "SequenceClassification", layout="chat", device=device, max_tokens=max_tokens)
    for block in blocks(records):
        for record, value in _scored(block, loaded):
            yield from selection.take(record, value)
    yield from selection.rest()
    report("reward_score", reward=selection.distribution.deciles())
    findings.report({"max_tokens": loaded.limit})


def _scored(block: list[Record], loaded: LocalModel) -> Iterator[tuple[Record, float | None]]:
    read = [[loaded.dialogue(record, answer.content) for answer in record.answers] for record in block]
    found = iter(loaded.rewards([ids for one in read for ids in one if not isinstance(ids, str)]))
    for record, dialogues in zip(block, read, strict=True):
        rewards = [significant(next(found)) for ids in dialogues if not isinstance(ids, str)]
        failed = [ids for ids in dialogues if isinstance(ids, str)]
        if not dialogues or failed:
            yield record.drop(f"reward_score:{failed[0] if failed else 'no_answer'}"), None
        elif not all(map(math.isfinite, rewards)):
            yield record.drop("reward_score:not_finite"), None
        else:
            answers = [answer.scored("reward", one) for answer, one in zip(record.answers, rewards, strict=True)]
            yield msgspec.structs.replace(record, answers=tuple(answers)), rewards[0]
