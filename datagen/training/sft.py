"""Supervised fine-tuning with TRL, on the assistant's words alone (InstructGPT, arXiv 2203.02155, section 3.5)."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

from datagen.stage import ModelName, Rows
from datagen.training.launch import train
from datagen.training.rows import sft_row
from datagen.training.settings import check_args


def check(arguments: dict[str, Any]) -> None:
    """Raises ``ConfigError`` for a name under ``args`` that TRL's config does not have."""
    check_args("sft", arguments["args"])


async def sft(
    data: Rows,
    out: Path,
    *,
    base: ModelName,
    rng: random.Random,
    args: dict[str, Any] = {},  # noqa: B006 - read only
    peft: dict[str, Any] | None = None,
    eval_share: float = 0.0,
    chat_template: Path | None = None,
    accelerate: str = "",
    keep_checkpoints: bool = False,
) -> dict[str, Any]:
    """Train ``base`` on prompts with their first answers; the model is ``out/model``, and the metrics are returned.

    ``args`` are fields of TRL's ``SFTConfig``, over defaults that fit the hardware; ``peft`` those of a ``LoraConfig``
    (``{}``: its defaults), merged into the model at the end. ``eval_share`` of the rows is held out for an evaluation
    loss. ``chat_template`` is a Jinja file; a base without any gets a plain one. ``accelerate`` is a config file, or
    the name of one that TRL ships (``fsdp2``, ``zero3``). Killed and called again, it goes on from its checkpoint.

    Raises:
        ConfigError: an unknown field, no row with an answer, no room for any answer, a tokenizer that does not fit.
        StageError: the training process failed.
    """
    return await train(
        "sft", data, out, convert=sft_row, base=base, args=args, peft=peft, eval_share=eval_share,
        chat_template=chat_template, accelerate=accelerate, keep_checkpoints=keep_checkpoints, rng=rng,
    )  # fmt: skip
