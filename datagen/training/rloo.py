"""REINFORCE with a leave-one-out baseline, with TRL (arXiv 2402.14740)."""

from __future__ import annotations

import random
from pathlib import Path
from typing import Any

from datagen.llm.client import LLM
from datagen.stage import FunctionName, ModelName, PromptName, Rows
from datagen.training.adapters import check_peft
from datagen.training.launch import train
from datagen.training.method import Method
from datagen.training.rewards import check_rewards, grader, sources
from datagen.training.rows import prompt_row
from datagen.training.settings import check_args, online_defaults

METHOD = Method(
    __name__, "REINFORCE leave-one-out (TRL RLOOTrainer)", "RLOO", prompt_row, online_defaults, 1e-6,
    trainer="datagen.training.online", samples=True,
)  # fmt: skip


def check(arguments: dict[str, Any]) -> None:
    """Raises ``ConfigError`` for a name under ``args`` that TRL's config does not have, or where no reward is given."""
    check_args(METHOD, arguments["args"])
    check_peft("training.rloo", arguments.get("peft"), arguments["args"])
    check_rewards("training.rloo", arguments)


async def rloo(
    data: Rows,
    out: Path,
    *,
    base: ModelName,
    rng: random.Random,
    reward: ModelName | None = None,
    oracle: FunctionName = FunctionName(""),
    judge: LLM | None = None,
    rubric: PromptName = PromptName("grade/accuracy"),
    samples: int = 4,
    beta: float = 0.05,
    args: dict[str, Any] = {},  # noqa: B006 - read only
    peft: dict[str, Any] | None = None,
    eval_share: float = 0.0,
    chat_template: Path | None = None,
    accelerate: str = "",
    keep_checkpoints: bool = False,
) -> dict[str, Any]:
    """Train ``base`` on its own samples: an answer's advantage is its reward less the mean of its ``samples`` siblings.

    The records' prompts are answered by the model as it learns. ``reward`` is a trained reward model; ``oracle`` a
    ``module:function`` that says of an instruction and an answer whether it is right (1), wrong (0) or cannot say
    (left out); ``judge`` grades by ``rubric`` (0 to 1; left out where its reply does not parse). Of several, the sum
    counts. ``beta`` weighs the divergence from ``base``. Otherwise as ``training.sft``.

    Raises:
        ConfigError: no reward, an unknown field, too few prompts, no prompt with room for an answer.
        StageError: the training process failed.
    """
    return await train(
        METHOD, data, out, base=base, args={"num_generations": samples, "beta": beta, **args}, peft=peft,
        eval_share=eval_share, chat_template=chat_template, accelerate=accelerate, keep_checkpoints=keep_checkpoints,
        rng=rng, grader=grader(judge, rubric),
        options=sources(reward, oracle, judge),
    )  # fmt: skip
