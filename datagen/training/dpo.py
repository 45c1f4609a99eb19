"""Direct preference optimisation with TRL (arXiv 2305.18290). The reference model is the base, frozen."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

from datagen.stage import ModelName, Rows
from datagen.training.launch import train
from datagen.training.method import Hardware, Method
from datagen.training.rows import preference_row
from datagen.training.settings import check_args


def _defaults(hardware: Hardware, length: int) -> dict[str, Any]:
    return {"max_length": length}


METHOD = Method(
    __name__, "direct preference optimisation (TRL DPOTrainer)", "DPO", preference_row, _defaults, 1e-6
)  # fmt: skip


def check(arguments: dict[str, Any]) -> None:
    """Raises ``ConfigError`` for a name under ``args`` that TRL's config does not have."""
    check_args(METHOD, arguments["args"])


async def dpo(
    data: Rows,
    out: Path,
    *,
    base: ModelName,
    rng: random.Random,
    beta: float = 0.1,
    loss_type: str = "sigmoid",
    args: dict[str, Any] = {},  # noqa: B006 - read only
    peft: dict[str, Any] | None = None,
    eval_share: float = 0.0,
    chat_template: Path | None = None,
    accelerate: str = "",
    keep_checkpoints: bool = False,
) -> dict[str, Any]:
    """Train ``base`` on pairs: a record's first answer is chosen, its second rejected. Otherwise as ``training.sft``.

    ``loss_type`` is one of TRL's (``sigmoid``, ``ipo``, ``hinge``, ``apo_zero``, ...); a mixture of several goes into
    ``args`` as a list, with ``loss_weights``.

    Raises:
        ConfigError: an unknown field, no usable pair (equal and empty answers are none), a tokenizer that does not fit.
        StageError: the training process failed.
    """
    return await train(
        METHOD, data, out, base=base, args={"beta": beta, "loss_type": [loss_type], **args},
        peft=peft, eval_share=eval_share, chat_template=chat_template, accelerate=accelerate,
        keep_checkpoints=keep_checkpoints, rng=rng,
    )  # fmt: skip
