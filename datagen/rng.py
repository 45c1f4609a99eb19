"""Where every random choice comes from: a generator derived from the pipeline's seed and what it is for."""

from __future__ import annotations

import hashlib
import random


def derive_seed(*parts: object) -> int:
    """A 63-bit seed that depends on all parts and on nothing else (not on Python's hash randomisation)."""
    text = "\x1f".join(str(part) for part in parts)
    return int.from_bytes(hashlib.blake2b(text.encode("utf-8", "surrogatepass"), digest_size=8).digest()) >> 1


def derive(*parts: object) -> random.Random:
    """A fresh generator, always the same one for the same parts.

    >>> derive(0, "tasks").random() == derive(0, "tasks").random()
    True
    """
    return random.Random(derive_seed(*parts))
