"""A reward model from ranked answers: Bradley-Terry on pairs, InstructGPT's K-wise loss on more (arXiv 2203.02155).

The model is the base with a scalar head in place of the vocabulary's. The head has no bias, so InstructGPT's shift to a
mean of 0 on demonstrations is left to ``args: {center_rewards_coefficient: 0.01}`` (arXiv 2312.09244); the baseline of
any policy gradient takes a constant out anyway.
"""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

from datagen.stage import ModelName, Rows
from datagen.training.adapters import check_peft
from datagen.training.launch import train
from datagen.training.method import Method
from datagen.training.rows import ranking_row
from datagen.training.settings import check_args, offline_defaults

METHOD = Method(
    __name__, "reward modelling (TRL RewardTrainer, K-wise loss)", "Reward", ranking_row, offline_defaults, 9e-6,
    model="SequenceClassification", trainer="datagen.training.kwise", report="datagen.training.calibration",
)  # fmt: skip


def check(arguments: dict[str, Any]) -> None:
    """Raises ``ConfigError`` for a name under ``args`` that TRL's config does not have."""
    check_args(METHOD, arguments["args"])
    check_peft("training.reward", arguments.get("peft"), arguments["args"])


async def reward(
    data: Rows,
    out: Path,
    *,
    base: ModelName,
    rng: random.Random,
    args: dict[str, Any] = {},  # noqa: B006 - read only
    peft: dict[str, Any] | None = None,
    eval_share: float = 0.1,
    chat_template: Path | None = None,
    accelerate: str = "",
    keep_checkpoints: bool = False,
) -> dict[str, Any]:
    """Train ``base`` to score answers: a record's answers are a ranking, best first. Otherwise as ``training.sft``.

    All pairs of a prompt stand in one batch element, each with weight 1 / C(K, 2); the batch size counts prompts. The
    metrics are of the held-out rows: ``accuracy`` over pairs, ``calibration_error`` (expected calibration error, ten
    bins, arXiv 1706.04599) with its ``calibration`` bins, ``length_correlation`` of reward with length within prompts,
    and ``longer_is_better``, the accuracy that picking the longer answer would have. The folder loads as
    ``AutoModelForSequenceClassification``. Rows that ``max_length`` would cut are left out: half an answer has no rank.

    Raises:
        ConfigError: an unknown field, no usable ranking (equal and empty answers are none), no row that fits.
        StageError: the training process failed.
    """
    return await train(
        METHOD, data, out, base=base, args=args, peft=peft, eval_share=eval_share, chat_template=chat_template,
        accelerate=accelerate, keep_checkpoints=keep_checkpoints, rng=rng,
    )  # fmt: skip
