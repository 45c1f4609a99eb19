"""Overlap with a benchmark's items in machine code: runs of words by 64-bit hashes, and what they find looked at again.

ASCII texts, also with typographic signs between their words, are cut into words by the kernel; others in Python.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate

import numpy as np

from datagen.text import overlap_kernel as kernel
from datagen.text.overlap import Match, run_size, shared_with
from datagen.text.overlap_kernel import Ints, Marks, Runs, Words
from datagen.text.words import normal, words

_NO_WORDS = "’‘“”–—…•\u00a0"
"""Signs beyond ASCII that only part words: most texts that are not ASCII have no others."""


class NumbaOverlap:
    """See ``overlap.Overlap``."""

    def __init__(self, items: Sequence[str], ngram: int, coverage: float) -> None:
        self._items, self._ngram, self._coverage = items, ngram, coverage
        hashes, ends, wholes = _hashed(items)
        starts = np.concatenate([np.zeros(1, np.int64), ends])
        sizes = np.array([run_size(length, ngram) for length in np.diff(starts).tolist()], np.int64)
        self._runs = _runs(len(hashes), starts, sizes)
        self._short = np.unique(sizes[(sizes > 0) & (sizes < ngram)])
        kernel.learn(hashes, ngram, self._runs)
        self._marks = Marks(
            now=np.zeros(1, np.int64),
            slot=np.zeros(len(self._runs.keys), np.int64),
            position=np.zeros(len(hashes), np.int64),
            item=np.zeros(len(items), np.int64),
            covered=np.zeros(len(items), np.int32),
            touched=np.zeros(len(items), np.int32),
        )
        listed = wholes.tolist()
        self._wholes = {whole: at for at, whole in reversed(list(enumerate(listed))) if whole}
        wordless = [(normal(items[at]), at) for at, whole in enumerate(listed) if not whole]
        self._wordless = dict(reversed(wordless))

    def matches(self, texts: Sequence[str]) -> list[Match | None]:
        """See ``Overlap.matches``."""
        hashes, ends, wholes = _hashed(texts)
        best = np.empty(len(texts), np.int64)
        kernel.match(hashes, ends, self._ngram, self._short, self._runs, self._marks, self._coverage, best)
        found = zip(texts, wholes.tolist(), best.tolist(), strict=True)
        return [self._match(text, whole, item) for text, whole, item in found]

    def _match(self, text: str, whole: int, item: int) -> Match | None:
        """What the hashes promise, made sure of."""
        at = self._wholes.get(whole) if whole else self._wordless.get(normal(text))
        if at is not None and normal(text) == normal(self._items[at]):
            return Match(at, normal(text), 1.0, whole=True)
        if item < 0:
            return None
        run, coverage = shared_with(words(text), words(self._items[item]), self._ngram)
        return Match(item, run, coverage, whole=False) if coverage > self._coverage else None


def _hashed(texts: Sequence[str]) -> tuple[Words, Ints, Words]:
    """The words of all texts behind one another, where each text's end, and each text as a whole."""
    lowered = [text.lower() if text.isascii() else _without_signs(text) for text in texts]
    is_parted = np.array([not text.isascii() for text in lowered], np.bool_)
    encoded = [(text if text.isascii() else _parted(text)).encode("utf-8", "surrogatepass") for text in lowered]
    ends = np.fromiter(accumulate(map(len, encoded)), np.int64, len(encoded))
    flat = np.frombuffer(b"".join(encoded), np.uint8)
    hashes, word_ends, wholes = np.empty(len(flat), np.uint64), np.empty_like(ends), np.empty(len(texts), np.uint64)
    kernel.all_words(flat, ends, is_parted, hashes, word_ends, wholes)
    return hashes[: word_ends[-1] if len(texts) else 0], word_ends, wholes


def _without_signs(text: str) -> str:
    """With a space for each sign that is none of a word; lower case if it is ASCII then."""
    for sign in _NO_WORDS:
        text = text.replace(sign, " ")
    return text.lower() if text.isascii() else text


def _parted(text: str) -> str:
    return "\0".join(words(text))


def _runs(positions: int, starts: Ints, sizes: Ints) -> Runs:
    keys = 1 << (2 * positions + 1).bit_length()
    return Runs(
        keys=np.zeros(keys, np.uint64),
        first=np.empty(keys, np.int32),
        next=np.empty(positions, np.int32),
        sieve=np.zeros(max(1, keys // 16), np.uint64),
        pairs=np.zeros(1024, np.uint64),
        item=np.empty(positions, np.int32),
        starts=starts,
        sizes=sizes,
    )
