"""What survives Self-Instruct's novelty rule (arXiv 2212.10560): no ROUGE-L F1 over 0.7 to any one kept before."""

from __future__ import annotations

import re
from collections.abc import Sequence

from rapidfuzz.distance import LCSseq


def words(text: str) -> list[str]:
    """rouge_score's tokens without stemming."""
    return re.sub(r"[^a-z0-9]+", " ", text.lower()).split()


def rouge_l(one: Sequence[str], other: Sequence[str]) -> float:
    """F1 of the longest common subsequence."""
    common = LCSseq.similarity(one, other)
    return 2 * common / (len(one) + len(other)) if common else 0.0


def surviving(texts: Sequence[str], limit: float = 0.7) -> int:
    """The number of texts kept when each is compared with all kept before it."""
    kept: list[list[str]] = []
    for text in texts:
        tokens = words(text)
        if tokens and all(rouge_l(tokens, other) <= limit for other in kept):
            kept.append(tokens)
    return len(kept)
