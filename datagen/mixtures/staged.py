"""Sources one after the other, as Orca is trained (arXiv 2306.02707): first many easy answers, then fewer, richer ones.

A trainer that shuffles undoes the order: train on this with ``args: {packing: false, train_sampling_strategy:
sequential}`` and one epoch, and say here how often each source is gone through.
"""

from __future__ import annotations

import random
from collections.abc import Iterator, Mapping
from typing import Any

from datagen.errors import ConfigError
from datagen.record import Record
from datagen.stage import Rows


def check(arguments: dict[str, Any]) -> None:
    """Raises ``ConfigError`` for epochs that are none."""
    epochs = arguments["epochs"]
    for number in epochs.values() if isinstance(epochs, dict) else [epochs]:
        if number < 1:
            raise ConfigError(f"staged: epochs: {number} is not at least 1")


def staged(
    sources: Mapping[str, Rows], *, epochs: int | dict[str, int] = 1, shuffle: bool = True, rng: random.Random
) -> Iterator[Record]:
    """All rows of the first source, then all of the second, and so on, each source ``epochs`` times (Orca: 4).

    Each time it is shuffled anew, unless its rows stand in an order of their own (``shuffle: false``). Labels:
    ``mixture``, the source; ``stage``, its number from 1; ``repeat``, from the second time on. Holds one source.
    """
    check({"epochs": epochs})
    times = epochs if isinstance(epochs, dict) else dict.fromkeys(sources, epochs)
    if unknown := sorted(set(times) - set(sources)):
        raise ConfigError(f"staged: epochs: {unknown[0]!r} is no source; allowed: {', '.join(sources)}")
    for number, (name, rows) in enumerate(sources.items(), 1):
        held = list(rows)
        for copy in range(times.get(name, 1)):
            if shuffle:
                rng.shuffle(held)
            for record in held:
                yield record.labelled(mixture=name, stage=number, **({"repeat": copy} if copy else {}))
