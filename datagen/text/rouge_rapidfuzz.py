"""The novelty pool's index without a compiler: prefix-filtered postings in Python, rapidfuzz's bit-parallel LCS."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

from rapidfuzz import process
from rapidfuzz.distance import LCSseq

from datagen.text.lcs import f_measure

_MARGIN = 1e-9
_CHARACTERS = 0x110000


class RapidfuzzIndex:
    """Lists of token ids, found again by ROUGE-L F. See ``rouge.Index``.

    F > t needs an LCS, hence a multiset overlap, of at least t(n + m)/2. So two lists that pass share an element among
    the rarest of each (prefix filter; "rare" is "first seen late", which never changes as the pool grows). Elements are
    (token, how often seen before in the list).
    """

    name = "rapidfuzz"

    def __init__(self, threshold: float) -> None:
        self._threshold = threshold
        self.lists: list[list[int]] = []
        self._packed: list[str | list[int]] = []
        self._postings: dict[tuple[int, int], dict[int, list[int]]] = {}

    def fill(self, lists: Iterable[list[int]]) -> None:
        """Add lists."""
        for ids in lists:
            index, n = len(self.lists), len(ids)
            self.lists.append(ids)
            self._packed.append(_packed(ids))
            prefix = n - self._overlap(n, self._shortest(n)) + 1
            for element in _elements(ids)[:prefix]:
                self._postings.setdefault(element, {}).setdefault(n, []).append(index)

    def near(self, ids: list[int]) -> list[tuple[int, float]]:
        """Index and F of every list at or above the threshold, in order."""
        query, n = _packed(ids), len(ids)
        near = []
        for m, found in self._candidates(ids).items():
            order = list(found)
            choices = [self._packed[index] for index in order]
            cutoff = self._overlap(n, m)
            for _, lcs, at in process.extract(
                query, choices, scorer=LCSseq.similarity, limit=None, score_cutoff=cutoff
            ):
                near.append((order[at], f_measure(lcs, n, m)))
        return sorted(one for one in near if one[1] >= self._threshold)

    def closest(self, ids: list[int]) -> tuple[int, float] | None:
        """Index and F of the most similar list, the first among equals; None if nothing is shared."""
        found = process.extract(_packed(ids), self._packed, scorer=LCSseq.similarity, limit=None, score_cutoff=1)
        scored = [(index, f_measure(lcs, len(ids), len(choice))) for choice, lcs, index in found]
        return max(scored, key=lambda near: (near[1], -near[0]), default=None)

    def admit(self, lists: Sequence[list[int]]) -> list[tuple[int, float] | None]:
        """For each list in turn the nearest above the threshold; where there is none, the list is added."""
        verdicts = []
        for ids in lists:
            above = [near for near in self.near(ids) if near[1] > self._threshold]
            verdicts.append(max(above, key=lambda near: (near[1], -near[0]), default=None))
            if not above:
                self.fill([ids])
        return verdicts

    def _candidates(self, ids: list[int]) -> dict[int, set[int]]:
        """By length, the lists that share an element where two similar ones must."""
        n = len(ids)
        longest = math.floor(n * (2 - self._threshold) / self._threshold + _MARGIN)
        reach = {m: n - self._overlap(n, m) for m in range(self._shortest(n), longest + 1)}
        candidates: dict[int, set[int]] = {}
        for position, element in enumerate(_elements(ids)[: max(reach.values(), default=-1) + 1]):
            for m, indices in self._postings.get(element, {}).items():
                if position <= reach.get(m, -1):
                    candidates.setdefault(m, set()).update(indices)
        return candidates

    def _overlap(self, n: int, m: int) -> int:
        """The least LCS with which lists of n and m tokens reach the threshold."""
        return max(1, math.ceil(self._threshold * (n + m) / 2 - _MARGIN))

    def _shortest(self, n: int) -> int:
        """The least length that can reach the threshold with a list of n tokens (2 min / (n + m) bounds F)."""
        return max(1, math.ceil(n * self._threshold / (2 - self._threshold) - _MARGIN))


def _packed(ids: list[int]) -> str | list[int]:
    """Ids as characters, which rapidfuzz reads fastest; beyond Unicode as integers, which it takes for the same."""
    return "".join(map(chr, ids)) if max(ids, default=0) < _CHARACTERS else ids


def _elements(ids: list[int]) -> list[tuple[int, int]]:
    """The multiset as distinct (token, occurrence), rarest first: by descending id."""
    seen: dict[int, int] = {}
    elements = []
    for token in ids:
        occurrence = seen[token] = seen.get(token, -1) + 1
        elements.append((token, occurrence))
    elements.sort(reverse=True)
    return elements
