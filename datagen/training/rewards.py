"""Where online methods get their rewards: a trained reward model, or a Python function with an exact check."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from datagen.errors import ConfigError
from datagen.text.oracles import load_oracle

Reward = Callable[..., "list[float | None]"]


def check_rewards(where: str, arguments: dict[str, Any]) -> None:
    """Raises ``ConfigError`` where there is nothing to learn from, or the oracle is no function."""
    if not arguments["reward"] and not arguments["oracle"]:
        raise ConfigError(f"{where}: needs a reward: a stage of training.reward, or oracle: 'module:function'")
    if arguments["oracle"]:
        load_oracle(arguments["oracle"])


def reward_functions(options: dict[str, Any]) -> list[Reward | str]:
    """What TRL takes as ``reward_funcs``: a reward model's folder, a function, or both (their sum is the reward).

    Raises ``ConfigError`` for a folder that holds no reward model.
    """
    functions: list[Reward | str] = []
    if options["reward"]:
        check_reward_model(options["reward"])
        functions.append(options["reward"])
    if options["oracle"]:
        functions.append(_by_oracle(options["oracle"]))
    return functions


def check_reward_model(folder: str) -> None:
    """Raises ``ConfigError`` where a local folder holds another kind of model, whose scores would be random."""
    config = Path(folder) / "config.json"
    kinds = json.loads(config.read_bytes()).get("architectures") or [] if config.is_file() else []
    if kinds and not any("SequenceClassification" in kind for kind in kinds):
        raise ConfigError(f"reward: {folder} holds a {kinds[0]}, not a reward model; train one with training.reward")


def _by_oracle(name: str) -> Reward:
    """1 for a right answer, 0 for a wrong one; none, and so no part in the loss, where the oracle cannot say."""
    check = load_oracle(name)

    def oracle(prompts: list[Any], completions: list[Any], **_: Any) -> list[float | None]:
        verdicts = [
            check(prompt[-1]["content"], completion[0]["content"])
            for prompt, completion in zip(prompts, completions, strict=True)
        ]
        return [None if verdict is None else float(verdict) for verdict in verdicts]

    return oracle
