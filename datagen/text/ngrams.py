"""The n-grams of a text, by words or by characters: what two texts share is counted in these."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Literal

from datagen.text.words import UNSPACED, spaced

Unit = Literal["word", "character"]

# Signs that tell formulas, code and headings apart; what merely ends a sentence or stresses a word is left out.
_SIGNS = "+=<>%/^#"
_ASCII = bytes(byte if byte >= 128 or chr(byte).isalnum() or chr(byte) in _SIGNS + "_" else 32 for byte in range(256))
_ALONE = re.compile(rf"[{UNSPACED}]")


def word_bytes(text: str) -> bytes:
    """Case-folded words in UTF-8, parted by spaces: runs of letters, digits and signs, or one unspaced character."""
    return spaced(text, _ALONE).encode("utf-8", "surrogatepass").translate(_ASCII)


def characters(text: str) -> str:
    """The text case-folded, with single spaces."""
    return " ".join(text.casefold().split())


def ngrams(text: str, unit: Unit, size: int) -> set[tuple[object, ...]]:
    """The distinct n-grams of a text."""
    tokens: Sequence[object] = word_bytes(text).split() if unit == "word" else list(characters(text))
    last = max(len(tokens) - size, 0) if tokens else -1
    return {tuple(tokens[at : at + size]) for at in range(last + 1)}
