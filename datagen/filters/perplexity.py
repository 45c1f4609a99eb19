"""Keep the rows whose perplexity under a local model lies within a window: neither trite nor noise.

A bound does not carry from one model or corpus to another, so shares by rank can be asked for instead: Marion et al.
(arXiv 2309.04564) prune pretraining text best by keeping the middle half.
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Iterator
from typing import Any, Literal

from datagen import findings
from datagen.errors import ConfigError
from datagen.filters.likelihood import scored
from datagen.filters.selection import Limits, Selection, report
from datagen.record import Record
from datagen.stage import ModelName
from datagen.text.local_scores import Layout, LocalModel, say_truncated

_LARGEST = 700.0  # exp of more is no float


def check(arguments: dict[str, Any]) -> None:
    """Raises ``ConfigError`` for no window at all, and for one that is empty."""
    low, high = arguments["min_perplexity"], arguments["max_perplexity"]
    quantiles = arguments["quantiles"]
    if (low is None and high is None) == (quantiles is None):
        raise ConfigError("perplexity: give min_perplexity and max_perplexity, one of them, or quantiles")
    if low is not None and high is not None and low > high:
        raise ConfigError(f"perplexity: min_perplexity {low} is above max_perplexity {high}")
    if quantiles is not None and not 0 <= quantiles[0] < quantiles[1] <= 1:
        raise ConfigError(f"perplexity: quantiles: {list(quantiles)} is no window such as [0.25, 0.75]")


def perplexity(
    records: Iterable[Record],
    *,
    model: ModelName,
    rng: random.Random,
    of: Literal["answer", "all"] = "answer",
    min_perplexity: float | None = None,
    max_perplexity: float | None = None,
    quantiles: tuple[float, float] | None = None,
    layout: Layout = "auto",
    max_tokens: int | None = None,
    device: str = "auto",
    control: bool = True,
) -> Iterator[Record]:
    """Records whose ``perplexity``, exp of the mean loss a token, is within the bounds, inclusive.

    Of the first ``answer`` given its prompt, or of ``all`` from the beginning. ``quantiles: [0.25, 0.75]`` keeps the
    middle half by rank. ``layout`` is the model's chat template (auto: if it has one), or plain lines. A row longer
    than ``max_tokens`` (null: the model's context) is scored by what fits, which is counted. ``quantiles`` and
    ``control`` (as in ``grade``) hold all rows.
    """
    check({"min_perplexity": min_perplexity, "max_perplexity": max_perplexity, "quantiles": quantiles})
    limits = Limits(min_perplexity, max_perplexity)
    if quantiles is not None:
        limits = Limits(share=quantiles[1] - quantiles[0], skip=1 - quantiles[1])
    selection = Selection("perplexity", limits, rng if control else None, number="perplexity")
    loaded = LocalModel(model, layout=layout, device=device, max_tokens=max_tokens)

    def measure(spans: list[Any]) -> list[float]:
        return [math.exp(loss) if loss < _LARGEST else math.inf for loss in loaded.losses(spans)]

    read = loaded.answer if of == "answer" else loaded.whole
    for record, value in scored(records, "perplexity", read, measure):
        yield from selection.take(record, value)
    yield from selection.rest()
    report("perplexity", perplexity=selection.distribution.deciles())
    findings.report(say_truncated("perplexity", loaded))
