"""ROUGE-L F of two texts from their longest common subsequence (LCS), with the floats of ``rouge_score``.

``2PR / (P + R)`` at a real-valued tie with a threshold (7 of 7 and 13 tokens, 0.7) lands above it or on it as the
floats fall: whoever decides by the F must use this very expression.
"""

from __future__ import annotations

from collections.abc import Sequence

from rapidfuzz.distance import LCSseq


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
