"""One JSON line per logging step, and an event for the parent. Imported by the worker alone."""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

from transformers import TrainerCallback

from datagen.training import checkpoints

# TRL's trainers have several names for one thing.
_NAMES = {
    "mean_token_accuracy": "token_accuracy",
    "mean_reward": "reward",
    "rewards/accuracies": "accuracy",
    "rewards/margins": "margin",
    "rewards/chosen": "reward_chosen",
    "rewards/rejected": "reward_rejected",
}
_SHOWN = ("loss", "reward", "kl", "entropy", "accuracy")  # in the terminal


class MetricsLog(TrainerCallback):  # type: ignore[misc]
    """Appends to ``metrics.jsonl``; on resume the log is first cut back to the checkpoint's step."""

    def __init__(self, path: Path, emit: Callable[..., None]) -> None:
        self.path = path
        self.emit = emit
        self.tokens_before = 0
        self.seconds_before = 0.0
        self.started = self.last_time = 0.0
        self.last_tokens = 0

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Take up the counts where the checkpoint left them."""
        self.started = self.last_time = time.monotonic()
        if not state.is_world_process_zero:
            return
        checkpoints.keep_until(self.path, state.global_step)
        if self.path.is_file() and (lines := self.path.read_text().splitlines()):
            last = json.loads(lines[-1])
            self.seconds_before = last["seconds"]
            # Online trainers keep the count in the state themselves.
            self.last_tokens = state.num_input_tokens_seen
            self.tokens_before = 0 if self.last_tokens else last.get("tokens", 0)

    def on_log(self, args: Any, state: Any, control: Any, logs: dict[str, Any], **kwargs: Any) -> None:
        """Write one line. TRL counts tokens from the start of the process, so those of earlier ones are added."""
        if not state.is_world_process_zero or "train_runtime" in logs:
            return
        entry = {"step": state.global_step, "seconds": round(self.seconds_before + time.monotonic() - self.started, 3)}
        entry |= {renamed(key): value for key, value in logs.items() if key != "num_tokens"}
        if "num_tokens" in logs:
            entry |= self._tokens(int(logs["num_tokens"]))
        with self.path.open("a") as file:
            file.write(json.dumps(entry) + "\n")
        if "loss" in logs:
            fields = {key: entry[key] for key in ("step", *_SHOWN, "tokens_per_s") if key in entry}
            self.emit("step", total=state.max_steps, **fields)

    def _tokens(self, tokens: int) -> dict[str, Any]:
        now = time.monotonic()
        rate = (tokens - self.last_tokens) / max(now - self.last_time, 1e-9)
        self.last_time, self.last_tokens = now, tokens
        return {"tokens": self.tokens_before + tokens, "tokens_per_s": round(rate)}


def renamed(name: str) -> str:
    """The one name of what TRL logs under several, of training and (``eval_``) evaluation alike."""
    of = "eval_" if name.startswith("eval_") else ""
    return of + _NAMES.get(name.removeprefix("eval_"), name.removeprefix("eval_"))
