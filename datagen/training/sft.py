"""Supervised fine-tuning with TRL, on the assistant's words alone (InstructGPT, arXiv 2203.02155, section 3.5)."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

from datagen.stage import ModelName, Rows
from datagen.training.adapters import check_peft
from datagen.training.launch import train
from datagen.training.method import Hardware, Method
from datagen.training.rows import sft_row
from datagen.training.settings import check_args, offline_defaults


def _defaults(hardware: Hardware, length: int) -> dict[str, Any]:
    """Packing only with flash attention: without it packed rows attend through a dense mask over the whole batch, which
    on a CPU is several times slower than padding; batches of like lengths need neither.
    """
    return {**offline_defaults(hardware, length), "assistant_only_loss": True, "packing": hardware.flash_attention}


METHOD = Method(
    __name__, "supervised fine-tuning (TRL SFTTrainer)", "SFT", sft_row, _defaults, 2e-5, epochs=3, warmup=0.03,
    masks_prompt=True,
)  # fmt: skip


def check(arguments: dict[str, Any]) -> None:
    """Raises ``ConfigError`` for a name under ``args`` that TRL's config does not have."""
    check_args(METHOD, arguments["args"])
    check_peft("training.sft", arguments.get("peft"), arguments["args"])


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
    (``{}``: its defaults), and ``quantize: nf4 | int8`` for QLoRA; the adapter is kept in ``out/adapter`` and merged
    into the model at the end. ``eval_share`` of the rows is held out for an evaluation
    loss. ``chat_template`` is a Jinja file; a base without any gets a plain one. ``accelerate`` is a config file, or
    the name of one that TRL ships (``fsdp2``, ``zero3``). Killed and called again, it goes on from its checkpoint.

    Raises:
        ConfigError: an unknown field, no row with an answer, no room for any answer, a tokenizer that does not fit.
        StageError: the training process failed.
    """
    return await train(
        METHOD, data, out, base=base, args=args, peft=peft, eval_share=eval_share, chat_template=chat_template,
        accelerate=accelerate, keep_checkpoints=keep_checkpoints, rng=rng,
    )  # fmt: skip
