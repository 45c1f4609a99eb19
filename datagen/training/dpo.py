"""Direct preference optimisation with TRL (arXiv 2305.18290). The reference model is the base, frozen.

Conservative DPO (cDPO: labels are wrong with probability eps) is not among TRL's losses, whose ``sigmoid`` ignores
``label_smoothing``. With z the margin times beta, L = -log sigmoid(z) and M = -log sigmoid(-z), TRL's ``robust`` is
((1 - eps) L - eps M) / (1 - 2 eps), so that cDPO, (1 - eps) L + eps M, is exactly 2 (1 - eps) ``sigmoid`` minus
(1 - 2 eps) ``robust``.
"""

from __future__ import annotations

import functools
import random
import re
from pathlib import Path
from typing import Any

from datagen.errors import ConfigError
from datagen.stage import ModelName, Rows
from datagen.training.adapters import check_peft
from datagen.training.launch import train
from datagen.training.method import Method
from datagen.training.rows import preference_row
from datagen.training.settings import check_args, offline_defaults, package

_SMOOTHED = {"cdpo", "robust", "exo_pair", "aot", "aot_unpaired"}
METHOD = Method(
    __name__, "direct preference optimisation (TRL DPOTrainer)", "DPO", preference_row, offline_defaults, 1e-6,
)  # fmt: skip


def check(arguments: dict[str, Any]) -> None:
    """Raises ``ConfigError`` for a loss or a field that TRL does not have, or for smoothing that would do nothing."""
    args = arguments["args"]
    check_args(METHOD, args)
    check_peft("training.dpo", arguments.get("peft"), args)
    given = args.get("loss_type", arguments["loss_type"])
    losses = given if isinstance(given, list) else [given]
    known = {*_losses(), "cdpo"} if losses == [arguments["loss_type"]] else _losses()
    if unknown := [loss for loss in losses if loss not in known]:
        raise ConfigError(f"training.dpo: no loss {unknown[0]!r}; there are: {', '.join(sorted(known))}")
    smoothing = args.get("label_smoothing", arguments["label_smoothing"])
    if arguments["loss_type"] == "cdpo" and (also := {"loss_type", "loss_weights"} & set(args)):
        raise ConfigError(
            f"training.dpo: args.{min(also)}: cdpo is itself a mixture of TRL's losses; leave one of both"
        )
    if not 0 <= smoothing < 0.5:
        raise ConfigError(f"training.dpo: label_smoothing: must be at least 0 and below 0.5, not {smoothing}")
    if smoothing and not _SMOOTHED & set(losses):
        raise ConfigError(f"training.dpo: {losses[0]} ignores label_smoothing; use {', '.join(sorted(_SMOOTHED))}")
    if not smoothing and {"cdpo", "exo_pair"} & set(losses):
        raise ConfigError(f"training.dpo: {losses[0]} needs label_smoothing, the share of wrong labels, such as 0.1")


@functools.cache
def _losses() -> frozenset[str]:
    """The losses that the installed TRL has, read from its source: importing it takes seconds."""
    source = (package("trl") / "trainer" / "dpo_trainer.py").read_text()
    return frozenset(re.findall(r'if loss_type == "(\w+)"', source))


def _loss(loss_type: str, smoothing: float) -> dict[str, Any]:
    if loss_type != "cdpo":
        return {"loss_type": [loss_type], "label_smoothing": smoothing}
    weights = [2 * (1 - smoothing), -(1 - 2 * smoothing)]
    return {"loss_type": ["sigmoid", "robust"], "loss_weights": weights, "label_smoothing": smoothing}


def _chosen(args: dict[str, Any], beta: float, loss_type: str, smoothing: float) -> dict[str, Any]:
    """TRL's settings: ``args`` over ours, where cDPO's weights follow the smoothing that counts in the end."""
    return {"beta": beta, **_loss(loss_type, args.get("label_smoothing", smoothing)), **args}


async def dpo(
    data: Rows,
    out: Path,
    *,
    base: ModelName,
    rng: random.Random,
    beta: float = 0.1,
    loss_type: str = "sigmoid",
    label_smoothing: float = 0.0,
    args: dict[str, Any] = {},  # noqa: B006 - read only
    peft: dict[str, Any] | None = None,
    eval_share: float = 0.0,
    chat_template: Path | None = None,
    accelerate: str = "",
    keep_checkpoints: bool = False,
) -> dict[str, Any]:
    """Train ``base`` on pairs: a record's first answer is chosen, its second rejected. Otherwise as ``training.sft``.

    ``loss_type`` is one of TRL's (``sigmoid``, ``ipo``, ``hinge``, ``apo_zero``, ...) or ``cdpo``; a mixture of several
    goes into ``args`` as a list, with ``loss_weights``. ``label_smoothing`` is the share of labels thought wrong.

    Raises:
        ConfigError: an unknown field, no usable pair (equal and empty answers are none), a tokenizer that does not fit.
        StageError: the training process failed.
    """
    return await train(
        METHOD, data, out, base=base, args=_chosen(args, beta, loss_type, label_smoothing), peft=peft,
        eval_share=eval_share, chat_template=chat_template, accelerate=accelerate, keep_checkpoints=keep_checkpoints,
        rng=rng,
    )  # fmt: skip
