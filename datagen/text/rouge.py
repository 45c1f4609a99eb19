"""ROUGE-L F between a text and a growing pool: exact, with the floats of ``rouge_score`` (Self-Instruct's novelty).

``2PR / (P + R)`` at a real-valued tie with the threshold (7 of 7 and 13 tokens, 0.7) lands above it or on it as the
floats fall, so candidates are found with a margin and decided with that very expression.
"""

from __future__ import annotations

import math
import re
from collections.abc import Sequence

from rapidfuzz import process
from rapidfuzz.distance import LCSseq

from datagen.errors import ConfigError

_TOKEN = re.compile(r"[a-z0-9]+")
_MARGIN = 1e-9
_CHARACTERS = 0x110000


def tokenize(text: str) -> list[str]:
    """The tokens of ``rouge_score`` without stemming: runs of ASCII letters and digits, lower case."""
    return _TOKEN.findall(text.lower())


def f_measure(lcs: int, n: int, m: int) -> float:
    """ROUGE-L F of two texts of n and m tokens that share a subsequence of ``lcs``; 0 where either is empty.

    >>> f_measure(7, 7, 13) > 0.7, f_measure(7, 10, 10) > 0.7
    (True, False)
    """
    if not lcs:
        return 0.0
    precision, recall = lcs / n, lcs / m
    return 2 * precision * recall / (precision + recall)


def rouge_l(one: Sequence[str], other: Sequence[str]) -> float:
    """ROUGE-L F of two token lists."""
    return f_measure(LCSseq.similarity(one, other), len(one), len(other))


class NoveltyPool:
    """Token lists, and for a new one its nearest among them.

    F > t needs an LCS, hence a multiset overlap, of at least t(n + m)/2. So two lists that pass share an element among
    the rarest of each (prefix filter; "rare" is "first seen late", which never changes as the pool grows). Elements are
    (token, how often seen before in the list). What survives is verified by rapidfuzz's bit-parallel LCS.
    """

    def __init__(self, threshold: float) -> None:
        if not 0 < threshold <= 1:
            raise ConfigError(f"a ROUGE-L threshold must be above 0 and at most 1, not {threshold}")
        self.threshold = threshold
        self._ids: dict[str, int] = {}
        self._lists: list[str | list[int]] = []
        self._postings: dict[tuple[int, int], dict[int, list[int]]] = {}

    def __len__(self) -> int:
        return len(self._lists)

    def add(self, tokens: Sequence[str]) -> int:
        """Add a list; its index."""
        index, n = len(self._lists), len(tokens)
        ids = [self._ids.setdefault(token, len(self._ids) + 1) for token in tokens]
        self._lists.append(_packed(ids))
        prefix = n - self._overlap(n, self._shortest(n)) + 1
        for element in _elements(ids)[:prefix]:
            self._postings.setdefault(element, {}).setdefault(n, []).append(index)
        return index

    def nearest(self, tokens: Sequence[str]) -> tuple[int, float] | None:
        """Index and F of the most similar list above the threshold, the first among equals; None: it is novel."""
        above = [near for near in self._near(tokens) if near[1] > self.threshold]
        return max(above, key=lambda near: (near[1], -near[0]), default=None)

    def neighbours(self, tokens: Sequence[str]) -> list[tuple[int, float]]:
        """Index and F of every list at or above the threshold, in order."""
        return [near for near in self._near(tokens) if near[1] >= self.threshold]

    def closest(self, tokens: Sequence[str]) -> tuple[int, float] | None:
        """Index and F of the most similar list however far it is; reads the whole pool. None if nothing is shared."""
        query, n = self._query(tokens), len(tokens)
        found = process.extract(query, self._lists, scorer=LCSseq.similarity, limit=None, score_cutoff=1)
        scored = [(index, f_measure(lcs, n, len(choice))) for choice, lcs, index in found]
        return max(scored, key=lambda near: (near[1], -near[0]), default=None)

    def _near(self, tokens: Sequence[str]) -> list[tuple[int, float]]:
        """A superset of what reaches the threshold, with exact scores, in order."""
        ids = [self._ids.get(token, 0) for token in tokens]
        query, n = _packed(ids), len(ids)
        longest = math.floor(n * (2 - self.threshold) / self.threshold + _MARGIN)
        reach = {m: n - self._overlap(n, m) for m in range(self._shortest(n), longest + 1)}
        candidates: dict[int, set[int]] = {}
        for position, element in enumerate(_elements(ids)[: max(reach.values(), default=-1) + 1]):
            for m, indices in self._postings.get(element, {}).items():
                if position <= reach.get(m, -1):
                    candidates.setdefault(m, set()).update(indices)
        near = []
        for m, found in candidates.items():
            order = list(found)
            choices = [self._lists[index] for index in order]
            cutoff = self._overlap(n, m)
            for _, lcs, at in process.extract(
                query, choices, scorer=LCSseq.similarity, limit=None, score_cutoff=cutoff
            ):
                near.append((order[at], f_measure(lcs, n, m)))
        return sorted(near)

    def _query(self, tokens: Sequence[str]) -> str | list[int]:
        return _packed([self._ids.get(token, 0) for token in tokens])

    def _overlap(self, n: int, m: int) -> int:
        """The least LCS with which lists of n and m tokens reach the threshold."""
        return max(1, math.ceil(self.threshold * (n + m) / 2 - _MARGIN))

    def _shortest(self, n: int) -> int:
        """The least length that can reach the threshold with a list of n tokens (2 min / (n + m) bounds F)."""
        return max(1, math.ceil(n * self.threshold / (2 - self.threshold) - _MARGIN))


def _packed(ids: list[int]) -> str | list[int]:
    """Ids as characters, which rapidfuzz reads fastest; beyond Unicode as integers, which it takes for the same."""
    return "".join(map(chr, ids)) if max(ids, default=0) < _CHARACTERS else ids


def _elements(ids: list[int]) -> list[tuple[int, int]]:
    """The multiset as distinct (token, occurrence), rarest first: by descending id. Id 0 is in no pool."""
    seen: dict[int, int] = {}
    elements = []
    for token in ids:
        occurrence = seen[token] = seen.get(token, -1) + 1
        elements.append((token, occurrence))
    elements.sort(reverse=True)
    return elements
