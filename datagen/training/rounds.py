"""A round of sampling: how many answers it has, and whether they part into groups that answer one prompt."""

from __future__ import annotations

from typing import Any

from datagen.errors import ConfigError


def check_round(name: str, settings: dict[str, Any], samples: int, devices: int) -> int:
    """The answers of one round, over all processes.

    Raises ``ConfigError`` where whole batches or whole groups of ``samples`` do not make it up.
    """
    batch = settings["per_device_train_batch_size"] * devices
    of = f"per_device_train_batch_size {settings['per_device_train_batch_size']} on {devices} device(s)"
    if given := settings.get("generation_batch_size"):
        if settings.get("steps_per_generation"):
            raise ConfigError(f"training.{name}: args: give generation_batch_size or steps_per_generation, not both")
        if given % batch:
            raise ConfigError(f"training.{name}: args.generation_batch_size: {given} is no multiple of {batch} ({of})")
        size = int(given)
    else:
        steps = settings.get("steps_per_generation") or settings["gradient_accumulation_steps"]
        size, of = batch * steps, f"{of}, {steps} batches a round"
    if size % samples:
        raise ConfigError(
            f"training.{name}: a round has {size} answers ({of}), which samples: {samples} to a prompt do not divide; "
            f"take args.per_device_train_batch_size: {_multiple(settings['per_device_train_batch_size'], samples)}"
        )
    return size


def _multiple(size: int, of: int) -> int:
    return -(-size // of) * of
