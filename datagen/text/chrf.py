"""chrF (Popović 2015, W15-3049): how alike two texts are in their characters, in any script, without a tokenizer."""

from __future__ import annotations

from collections import Counter

_LONGEST = 6
_BETA_SQUARED = 4


def chrf(text: str, reference: str) -> float:
    """chrF2, from 0 to 1: ``5PR / (4P + R)`` with P and R averaged over the n-grams of 1 to 6 characters.

    Whitespace is left out; an order that one of the texts is too short for does not count (as in sacrebleu, whose
    score this is, over 100).
    """
    given, wanted = "".join(text.split()), "".join(reference.split())
    orders = min(_LONGEST, len(given), len(wanted))
    if not orders:
        return 0.0
    shared = [(_ngrams(given, n) & _ngrams(wanted, n)).total() for n in range(1, orders + 1)]
    precision = sum(hits / (len(given) - at) for at, hits in enumerate(shared)) / orders
    recall = sum(hits / (len(wanted) - at) for at, hits in enumerate(shared)) / orders
    if not precision:
        return 0.0
    return (1 + _BETA_SQUARED) * precision * recall / (_BETA_SQUARED * precision + recall)


def _ngrams(text: str, n: int) -> Counter[str]:
    return Counter(text[at : at + n] for at in range(len(text) - n + 1))
