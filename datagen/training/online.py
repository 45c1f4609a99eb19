"""TRL's GRPO and RLOO trainers with rewards of ours. Imported by the worker alone."""

from __future__ import annotations

from typing import Any

import trl

from datagen.errors import ConfigError
from datagen.training import method
from datagen.training.rewards import reward_functions


def make(spec: dict[str, Any], **common: Any) -> Any:
    """The trainer for rows of ``prompt``. Raises ``ConfigError``."""
    how = method.load(spec["method"])
    return getattr(trl, f"{how.trl}Trainer")(**prepared(spec, common), reward_funcs=reward_functions(spec))


def prepared(spec: dict[str, Any], common: dict[str, Any]) -> dict[str, Any]:
    """What every online trainer takes, without prompts that leave no room for an answer.

    Raises ``ConfigError`` where fewer prompts are left than one round of sampling takes: TRL would train on none.
    """
    tokenizer, args = common["processing_class"], common["args"]

    def fits(row: dict[str, Any]) -> bool:
        ids = tokenizer.apply_chat_template(row["prompt"], add_generation_prompt=True, return_dict=True)["input_ids"]
        return len(ids) <= int(spec["room"])

    if spec["room"] is not None:
        common |= {
            name: common[name].filter(fits) for name in ("train_dataset", "eval_dataset") if common[name] is not None
        }
    needed = args.generation_batch_size // args.num_generations
    if len(common["train_dataset"]) < needed:
        raise ConfigError(
            f"{len(common['train_dataset'])} prompts, and one round of sampling takes {needed}: give more, or lower "
            "args.per_device_train_batch_size"
        )
    return common
