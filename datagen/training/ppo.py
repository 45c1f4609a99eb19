"""Proximal policy optimisation against a reward (arXiv 1707.06347), as in InstructGPT (arXiv 2203.02155, PPO-ptx).

TRL has had no PPO since 1.13; this one stands on its RLOO trainer, which samples, scores and keeps the reference. Two
deviations: advantages are whitened over each round of samples, as in the reference code (arXiv 2403.17031), and the
losses are means over tokens, so that ``ptx_coef`` weighs a token of pretraining text against a token of an answer.
"""

from __future__ import annotations

import hashlib
import math
import random
from pathlib import Path
from typing import Any

import msgspec

from datagen.errors import ConfigError
from datagen.llm.client import LLM
from datagen.stage import FunctionName, ModelName, PromptName, Rows
from datagen.training.adapters import check_peft
from datagen.training.launch import train
from datagen.training.method import Hardware, Method
from datagen.training.rewards import check_rewards, grader, sources
from datagen.training.rows import pretraining_row, prompt_row
from datagen.training.settings import check_args, online_defaults

_OURS = {
    "num_generations": "samples",
    "num_iterations": "ppo_epochs",
    "epsilon": "clip",
    "epsilon_high": "clip",
    "num_generations_eval": "samples",
    "normalize_advantages": "nothing: PPO whitens its advantages",
    "router_aux_loss_coef": "nothing: a mixture of experts gets no load-balancing loss",
    "pad_to_multiple_of": "nothing: rows are padded to the longest",
}

_LIMITS = {"samples": (1, math.inf), "ppo_epochs": (1, math.inf), "beta": (0, math.inf), "clip": (0, math.inf),
           "value_clip": (0, math.inf), "vf_coef": (0, math.inf), "gamma": (0, 1), "lam": (0, 1)}  # fmt: skip


def _defaults(hardware: Hardware, length: int) -> dict[str, Any]:
    return {**online_defaults(hardware, length), "disable_dropout": True}


METHOD = Method(
    __name__, "proximal policy optimisation (on TRL's RLOOTrainer)", "RLOO", prompt_row, _defaults, 1e-6,
    trainer="datagen.training.ppo_trainer", samples=True,
)  # fmt: skip


def check(arguments: dict[str, Any]) -> None:
    """Raises ``ConfigError`` for a name under ``args`` that is not TRL's or has one of ours, a number out of its range,
    or where no reward is given.
    """
    check_args(METHOD, arguments["args"])
    check_peft("training.ppo", arguments.get("peft"), arguments["args"])
    for name in arguments["args"]:
        if name in _OURS:
            raise ConfigError(f"training.ppo: args.{name}: use {_OURS[name]}")
    for name, (least, most) in _LIMITS.items():
        if not least <= arguments.get(name, least) <= most:
            raise ConfigError(f"training.ppo: {name}: must be from {least} to {most}, not {arguments[name]}")
    check_rewards("training.ppo", arguments)


async def ppo(
    data: Rows,
    out: Path,
    *,
    base: ModelName,
    rng: random.Random,
    reward: ModelName | None = None,
    oracle: FunctionName = FunctionName(""),
    judge: LLM | None = None,
    rubric: PromptName = PromptName("grade/accuracy"),
    samples: int = 1,
    ppo_epochs: int = 4,
    beta: float = 0.02,
    clip: float = 0.2,
    value_clip: float = 0.2,
    vf_coef: float = 0.1,
    gamma: float = 1.0,
    lam: float = 0.95,
    missing_eos_penalty: float = 0.0,
    pretrain: Rows | None = None,
    ptx_coef: float = 27.8,
    args: dict[str, Any] = {},  # noqa: B006 - read only
    peft: dict[str, Any] | None = None,
    eval_share: float = 0.0,
    chat_template: Path | None = None,
    accelerate: str = "",
    keep_checkpoints: bool = False,
) -> dict[str, Any]:
    """Train ``base`` on its own answers to the prompts: reward less ``beta`` times the divergence from ``base``.

    ``reward``, ``oracle``, ``judge`` and all else as in ``training.rloo``, with the same ``args``. The value model
    begins as the reward model, or as ``base`` with a head of zeros where there is none or its vocabulary is another.
    ``gamma`` and ``lam`` are those of GAE. Each round of ``samples`` answers a prompt is gone over ``ppo_epochs``
    times. ``missing_eos_penalty`` is taken from the reward of an answer that never ended. ``pretrain`` adds PPO-ptx's
    term: ``ptx_coef`` times the loss on these rows (a record's dialogue, or its plain text where it has no answer).
    One process or several with whole copies (DDP); not FSDP or DeepSpeed.

    Raises:
        ConfigError: no reward, an unknown field, too few prompts, no prompt with room for an answer.
        StageError: the training process failed.
    """
    settings = {
        "gamma": gamma, "lam": lam, "value_clip": value_clip, "vf_coef": vf_coef, "ptx_coef": ptx_coef,
        "samples": samples, "missing_eos_penalty": missing_eos_penalty,
    }  # fmt: skip
    options = {
        **sources(reward, oracle, judge),
        "ppo": settings,
        "pretrain": None if pretrain is None else _write_pretraining(pretrain, out),
    }
    ours = {"beta": beta, "num_iterations": ppo_epochs, "epsilon": clip}
    return await train(
        METHOD, data, out, base=base, args={**ours, **args}, peft=peft, eval_share=eval_share,
        chat_template=chat_template, accelerate=accelerate, keep_checkpoints=keep_checkpoints, rng=rng, options=options,
        grader=grader(judge, rubric),
    )  # fmt: skip


def _write_pretraining(rows: Rows, out: Path) -> dict[str, str]:
    """``pretrain.jsonl`` and its digest, which keeps checkpoints of other text from being taken up."""
    lines = [msgspec.json.encode(row) for record in rows if (row := pretraining_row(record))]
    if not lines:
        raise ConfigError("training.ppo: pretrain: no row has any text")
    out.mkdir(parents=True, exist_ok=True)
    path, text = out.resolve() / "pretrain.jsonl", b"\n".join(lines) + b"\n"
    path.write_bytes(text)
    return {"path": str(path), "digest": hashlib.sha256(text).hexdigest()}
