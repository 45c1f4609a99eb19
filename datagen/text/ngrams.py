"""The n-grams of a text, by words or by characters: what two texts share is counted in these."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterable, Sequence
from typing import Literal

from datagen.text.words import UNSPACED, spaced

Unit = Literal["word", "character"]

# Signs that tell formulas, code and headings apart; what merely ends a sentence or stresses a word is left out.
_SIGNS = "+=<>%/^#"
_ASCII = bytes(
    byte if byte >= 128 else ord(chr(byte).lower()) if chr(byte).isalnum() or chr(byte) in _SIGNS + "_" else 32
    for byte in range(256)
)
_ALONE = re.compile(rf"[{UNSPACED}]")

_GOLDEN, _MIX, _WORD = 0x9E3779B97F4A7C15, 0xD6E8FEB86659FD93, 2**64 - 1


def word_bytes(text: str) -> bytes:
    """Case-folded words in UTF-8, parted by spaces: runs of letters, digits and signs, or one unspaced character."""
    return _encoded(text).translate(_ASCII)


def all_word_bytes(texts: Iterable[str]) -> tuple[bytes, list[int]]:
    """The ``word_bytes`` of texts behind one another, and how many bytes each has."""
    encoded = list(map(_encoded, texts))
    return b"".join(encoded).translate(_ASCII), list(map(len, encoded))


def _encoded(text: str) -> bytes:
    return text.encode() if text.isascii() else spaced(text, _ALONE).encode("utf-8", "surrogatepass")


def characters(text: str) -> str:
    """The text case-folded, with single spaces."""
    return " ".join(text.casefold().split())


def ngrams(text: str, unit: Unit, size: int) -> set[tuple[object, ...]]:
    """The distinct n-grams of a text."""
    tokens: Sequence[object] = word_bytes(text).split() if unit == "word" else list(characters(text))
    last = max(len(tokens) - size, 0) if tokens else -1
    return {tuple(tokens[at : at + size]) for at in range(last + 1)}


def ngram_hashes(text: str, unit: Unit, size: int) -> set[int]:
    """The 64-bit hashes of a text's n-grams that ``ngram_kernel.py`` makes, without machine code."""
    tokens = [_word_hash(word) for word in word_bytes(text).split()] if unit == "word" else _points(text)
    last = max(len(tokens) - size, 0) if tokens else -1
    found = set[int]()
    for at in range(last + 1):
        value = _GOLDEN
        for token in tokens[at : at + size]:
            value = (value + token) * _MIX & _WORD
        found.add(mixed(value))
    return found


def mixed(key: int) -> int:
    """Every bit of 64 depends on every other."""
    key = key * _GOLDEN & _WORD
    key = (key ^ (key >> 32)) * _MIX & _WORD
    return key ^ (key >> 29)


@functools.lru_cache(2**16)
def _word_hash(word: bytes) -> int:
    value = _GOLDEN
    for byte in word:
        value = (value ^ byte) * _MIX & _WORD
    return mixed(value)


def _points(text: str) -> list[int]:
    return list(map(ord, characters(text)))
