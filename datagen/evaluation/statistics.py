"""Means with their uncertainty: standard errors, and the paired difference of two models on the same items.

Paired, because two models right on the same easy items differ by less than their separate errors suggest (arXiv
2411.00640, section 4.2).
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

_Z95 = 1.959963984540054


def proportion(right: int, n: int) -> dict[str, float]:
    """A share and its binomial standard error, sqrt(p(1-p)/n); both 0 for n = 0."""
    share = right / n if n else 0.0
    return {"share": share, "stderr": math.sqrt(share * (1 - share) / n) if n else 0.0}


def mean(values: Sequence[float]) -> dict[str, float]:
    """A mean and its standard error (sample variance, n - 1); the error is 0 for fewer than two values."""
    n = len(values)
    if not n:
        return {"mean": 0.0, "stderr": 0.0}
    centre = sum(values) / n
    variance = sum((value - centre) ** 2 for value in values) / (n - 1) if n > 1 else 0.0
    return {"mean": centre, "stderr": math.sqrt(variance / n)}


def paired_difference(first: Sequence[float], second: Sequence[float]) -> dict[str, Any]:
    """Mean of first minus second over the same items, its standard error, and the normal 95 % interval."""
    found = mean([a - b for a, b in zip(first, second, strict=True)])
    margin = _Z95 * found["stderr"]
    centre = found["mean"]
    return {
        "difference": round(centre, 4),
        "stderr": round(found["stderr"], 4),
        "ci95": [round(centre - margin, 4), round(centre + margin, 4)],
    }
