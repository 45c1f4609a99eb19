"""Where online methods get their rewards: a trained reward model, a Python function with an exact check, an LLM judge.

The first two work in the training process. The judge is asked in the stage's own, which holds the LLMs and the journal.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

from datagen.errors import ConfigError, LLMError
from datagen.llm import judge as judges
from datagen.llm.client import LLM
from datagen.llm.models import resolve
from datagen.record import Message
from datagen.text.oracles import load_oracle

Reward = Callable[..., "list[float | None]"]
Grader = Callable[[list[Any]], Awaitable["list[float | None]"]]
_BEST = 5  # of the judge's scale, so that all rewards but a model's lie between 0 and 1


def check_rewards(where: str, arguments: dict[str, Any]) -> None:
    """Raises ``ConfigError`` where there is nothing to learn from, or the oracle is no function."""
    if not any(arguments[name] for name in ("reward", "oracle", "judge")):
        raise ConfigError(f"{where}: needs reward: (a stage of training.reward), oracle: 'module:function', or judge:")
    if arguments["oracle"]:
        load_oracle(arguments["oracle"])


def sources(reward: str | None, oracle: str, judge: LLM | None) -> dict[str, Any]:
    """The ``options`` that tell the worker where its rewards come from; ``reward_functions`` reads them there."""
    return {"reward": reward and resolve(reward), "oracle": oracle, "judge": bool(judge)}


def grader(judge: LLM | None, rubric: str) -> Grader | None:
    """Grades ``[prompt, answer]`` rows from 0 to 1; None for one whose judge gave no score."""
    if judge is None:
        return None

    async def one(prompt: list[dict[str, str]], answer: str) -> float | None:
        messages = [Message(turn["role"], turn["content"]) for turn in prompt]
        try:
            found = await judges.grade(judge, rubric, messages, answer)
        except LLMError:
            return None
        return None if found.score is None else found.score / _BEST

    async def grade(rows: list[Any]) -> list[float | None]:
        return list(await asyncio.gather(*(one(prompt, answer) for prompt, answer in rows)))

    return grade


def reward_functions(spec: dict[str, Any]) -> list[Reward | str]:
    """What TRL takes as ``reward_funcs``: a reward model's folder, functions; of several, the sum is the reward.

    Raises ``ConfigError`` for a folder that holds no reward model, and for a judge of several processes.
    """
    options = spec["options"]
    functions: list[Reward | str] = []
    if options["reward"]:
        check_reward_model(options["reward"])
        functions.append(options["reward"])
    if options["oracle"]:
        functions.append(_by_oracle(options["oracle"]))
    if options["judge"]:
        if int(os.environ.get("WORLD_SIZE", "1")) > 1:
            raise ConfigError("judge: it answers one training process, and here are several; use reward or oracle")
        functions.append(_by_judge(spec["ask"]))
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

    def oracle(prompts: list[Any], completions: list[Any], log_metric: Any, **_: Any) -> list[float | None]:
        rows = zip(prompts, completions, strict=True)
        verdicts = [check(prompt[-1]["content"], completion[0]["content"]) for prompt, completion in rows]
        log_metric("oracle/unscored", verdicts.count(None) / len(verdicts))
        return [None if verdict is None else float(verdict) for verdict in verdicts]

    return oracle


def _by_judge(ask: Callable[[list[Any]], Any]) -> Reward:
    def judge(prompts: list[Any], completions: list[Any], log_metric: Any, **_: Any) -> list[float | None]:
        pairs = zip(prompts, completions, strict=True)
        scores: list[float | None] = ask([[prompt, completion[0]["content"]] for prompt, completion in pairs])
        log_metric("judge/unscored", scores.count(None) / len(scores))
        return scores

    return judge
