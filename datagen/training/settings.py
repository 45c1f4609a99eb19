"""Training settings: the user's names checked without importing TRL, and defaults that fit the hardware found.

The fields of TRL's config classes are read from the source files, because importing them takes seconds and half a
gigabyte in a process that may be generating at the time.
"""

from __future__ import annotations

import ast
import difflib
import functools
import importlib.util
from collections.abc import Collection
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from datagen.errors import ConfigError
from datagen.training.method import Hardware, Method

_OURS = {
    "output_dir": "the stage's own folder is used",
    "hub_token": "set HF_TOKEN in the environment: a token never goes into a file",
    "resume_from_checkpoint": "training goes on from the stage's last checkpoint by itself",
}
_CONTEXT = 2048
_ANSWER = 256
_SMALL = 500_000_000


@dataclass(frozen=True)
class Task:
    """What is trained: the size of the model in parameters, its context, whether adapters or evaluation are used."""

    method: Method
    parameters: int
    context: int
    adapter: bool = False
    evaluated: bool = False


def check_args(method: Method, args: dict[str, Any]) -> None:
    """Raises ``ConfigError`` for a key that TRL's config of that method does not have, or that is not the user's."""
    for key in args:
        if key in _OURS:
            raise ConfigError(f"training.{method.name}: args.{key}: {_OURS[key]}")
    check_names(f"training.{method.name}: args", args, config_fields(method.trl))


def check_names(where: str, given: Collection[str], allowed: Collection[str]) -> None:
    """Raises ``ConfigError`` for a name that is not allowed, with the closest ones."""
    for name in given:
        if name not in allowed:
            close = difflib.get_close_matches(name, list(allowed), 3, 0.5)
            meant = f"; did you mean {', '.join(close)}?" if close else ""
            raise ConfigError(f"{where}: unknown field {name!r}{meant}")


@functools.cache
def config_fields(trl_name: str) -> frozenset[str]:
    """The field names of TRL's config class (``SFT`` for ``SFTConfig``) with those it inherits."""
    trl, transformers = package("trl"), package("transformers")
    files = (
        trl / f"trainer/{trl_name.lower()}_config.py",
        trl / "trainer/base_config.py",
        transformers / "training_args.py",
    )
    wanted = {f"{trl_name}Config", "_BaseConfig", "TrainingArguments"}
    names = [name for file in files if file.is_file() for name in annotated(file, wanted)]
    return frozenset(name for name in names if not name.startswith("_"))


def annotated(file: Path, classes: set[str]) -> list[str]:
    """The names of the annotated fields of these classes, as the file declares them."""
    found = [
        node for node in ast.parse(file.read_text()).body if isinstance(node, ast.ClassDef) and node.name in classes
    ]
    statements = [statement for node in found for statement in node.body if isinstance(statement, ast.AnnAssign)]
    return [statement.target.id for statement in statements if isinstance(statement.target, ast.Name)]


def package(name: str) -> Path:
    """The folder of an installed package, which is not imported. Raises ``ConfigError``."""
    spec = importlib.util.find_spec(name)
    if spec is None or spec.origin is None:
        raise ConfigError(f"training needs {name!r}: pip install 'datagen[train]'")
    return Path(spec.origin).parent


def defaults(hardware: Hardware, task: Task) -> dict[str, Any]:
    """Settings that fit the hardware, the model and the method; ``args`` of the user go over them."""
    small = task.parameters < _SMALL
    per_device = 16 if small else 4
    gathered = per_device * hardware.devices
    length = min(_CONTEXT, task.context) if task.context else _CONTEXT
    return {
        "use_cpu": hardware.kind == "cpu",
        "bf16": hardware.bf16,
        "gradient_checkpointing": not small,
        "per_device_train_batch_size": per_device,
        "gradient_accumulation_steps": 1 if small else max(1, 32 // gathered),
        "learning_rate": task.method.learning_rate * (10 if task.adapter else 1),
        "num_train_epochs": task.method.epochs,
        "lr_scheduler_type": "cosine",
        "warmup_steps": task.method.warmup,
        "logging_steps": 10,
        "logging_first_step": True,
        "save_strategy": "steps",
        "save_steps": 0.1,
        "save_total_limit": 2,
        "eval_strategy": "epoch" if task.evaluated else "no",
        "report_to": "none",
        "disable_tqdm": True,
        "dataloader_pin_memory": hardware.kind == "cuda",
        **task.method.defaults(hardware, length),
    }


def offline_defaults(hardware: Hardware, length: int) -> dict[str, Any]:
    """Of methods that learn from the rows' own answers: rows are cut at the length, and batched with like ones."""
    return {"max_length": length, "train_sampling_strategy": "group_by_length"}


def online_defaults(hardware: Hardware, length: int) -> dict[str, Any]:
    """Of methods that learn from their own samples: half of the context is for the answer, every step is logged."""
    return {"max_completion_length": min(_ANSWER, length // 2), "logging_steps": 1, "logging_first_step": False}


def loading(hardware: Hardware, task: Task) -> dict[str, Any]:
    """How to load the base: safetensors only; full weights in float32, so that small updates are not rounded away."""
    frozen = task.adapter and hardware.bf16
    return {
        "use_safetensors": True,
        "dtype": "bfloat16" if frozen else "float32",
        "attn_implementation": "flash_attention_2" if hardware.flash_attention else "sdpa",
    }


def merged(chosen: dict[str, Any], model: dict[str, Any], args: dict[str, Any]) -> dict[str, Any]:
    """Our choices with the user's over them; what would contradict a choice of the user gives way."""
    settings = {**chosen, **args, "model_init_kwargs": {**model, **(args.get("model_init_kwargs") or {})}}
    if "packing" in chosen and "packing" not in args and settings.get("max_length") is None:
        settings["packing"] = False
    if settings.get("packing") and "train_sampling_strategy" not in args:
        settings.pop("train_sampling_strategy", None)
    if args.get("fp16") and "bf16" not in args:
        settings["bf16"] = False
    return settings


def described(settings: dict[str, Any], hardware: Hardware) -> str:
    """The choices that matter, in one line."""
    where = {"cpu": "CPU", "cuda": f"{hardware.devices} GPU", "mps": "Apple GPU"}[hardware.kind]
    precision = "bf16" if settings.get("bf16") else "fp16" if settings.get("fp16") else "fp32"
    words = [where, precision, str(settings["model_init_kwargs"].get("attn_implementation"))]
    words += [name for name in ("packing", "assistant_only_loss", "gradient_checkpointing") if settings.get(name)]
    words += [str(settings["train_sampling_strategy"])] if "train_sampling_strategy" in settings else []
    batch = settings["per_device_train_batch_size"] * settings["gradient_accumulation_steps"] * hardware.devices
    words += [f"batch {batch}", f"{settings['num_train_epochs']} epochs"]
    words += [f"{name} {settings[name]}" for name in ("max_length", "max_completion_length") if name in settings]
    words += [f"learning rate {settings['learning_rate']:g} {settings['lr_scheduler_type']}"]
    return ", ".join(words)
