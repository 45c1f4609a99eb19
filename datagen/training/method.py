"""What sets one training method apart. Each stage's file says it once, as ``METHOD``, and the worker reads it there."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

from datagen.training.rows import Convert


@dataclass(frozen=True)
class Hardware:
    """What this process may train on."""

    kind: Literal["cpu", "cuda", "mps"]
    devices: int = 1
    bf16: bool = False
    flash_attention: bool = False
    sharded: bool = False
    """One model is split over several processes, by FSDP or DeepSpeed."""


@dataclass(frozen=True)
class Method:
    """A training method: the file of its stage, its TRL classes, its rows and its defaults.

    ``trl`` is the stem of TRL's names: ``SFT`` for ``SFTConfig`` and ``SFTTrainer``. ``trainer`` and ``report`` name
    modules that the worker alone imports, where TRL's own trainer will not do: their ``make(spec, **common)`` gives the
    trainer, their ``report(trainer)`` more metrics of the trained model.
    """

    file: str
    title: str
    trl: str
    convert: Convert
    defaults: Callable[[Hardware, int], dict[str, Any]]
    """Settings of this method for the hardware and a length in tokens."""
    learning_rate: float
    """Of full training; ten times as much for adapters (TRL's own advice)."""
    epochs: float = 1
    warmup: float = 0.1
    model: Literal["CausalLM", "SequenceClassification"] = "CausalLM"
    """What the trained folder loads as: ``AutoModelFor`` and this."""
    trainer: str = ""
    report: str = ""
    samples: bool = False
    """It answers the prompts itself: rows have no answers, and a prompt needs room for one."""
    masks_prompt: bool = False
    """It learns from the assistant's words alone, and so which token ends them."""

    @property
    def name(self) -> str:
        """As in ``training.sft``."""
        return self.file.rpartition(".")[2]


def load(file: str) -> Method:
    """The method of a stage's module."""
    method: Method = importlib.import_module(file).METHOD
    return method
