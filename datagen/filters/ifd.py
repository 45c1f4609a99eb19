"""Instruction-following difficulty (Cherry, arXiv 2308.12032): how little the instruction helps a model to its answer.

IFD is how likely a model finds the answer after its instruction over how likely it finds it alone: near 0 the
instruction says it all, near 1 it does not help, and above 1 it misleads, as where the two do not belong together.
Superfiltering (arXiv 2402.00530) found that a small model orders rows much as a large one does. Deviations: both
likelihoods are over the same tokens (the papers' code leaves the answer's first token out of the one); Cherry's model
is first trained briefly on diverse rows, which here is for the pipeline to do (``model: warm_up``).
"""

from __future__ import annotations

import math
import random
from collections.abc import Iterable, Iterator
from typing import Any, Literal

from datagen import findings
from datagen.errors import ConfigError
from datagen.filters.likelihood import scored
from datagen.filters.selection import Limits, Selection, check_share, report
from datagen.record import Record
from datagen.stage import ModelName
from datagen.text.local_scores import Layout, LocalModel, Span, say_truncated

_LARGEST = 700.0  # exp of more is no float
_CERTAIN = 1e-9  # the loss of a text that the model knows by heart


def check(arguments: dict[str, Any]) -> None:
    """Raises ``ConfigError`` for a share that is none, and a bound that no ratio is under."""
    check_share("ifd: keep_top", arguments["keep_top"])
    if arguments["max_ifd"] is not None and not arguments["max_ifd"] > 0:
        raise ConfigError(f"ifd: max_ifd: {arguments['max_ifd']} is not above 0")


def ifd(
    records: Iterable[Record],
    *,
    model: ModelName,
    rng: random.Random,
    keep_top: float | None = None,
    max_ifd: float | None = 1.0,
    ratio: Literal["perplexity", "loss"] = "perplexity",
    layout: Layout = "auto",
    max_tokens: int | None = None,
    device: str = "auto",
    control: bool = True,
) -> Iterator[Record]:
    """Records whose ``ifd`` is at most ``max_ifd``, or of these the ``keep_top`` share (of all) with the greatest.

    ``ratio`` is of perplexities (Superfiltering), or of mean losses (Cherry); both are above 1 for the same rows, but
    order the rest otherwise. The papers keep 0.05 to 0.15. ``layout``, ``max_tokens`` and ``control`` as in
    ``perplexity``; ``keep_top`` holds all rows.
    """
    check({"keep_top": keep_top, "max_ifd": max_ifd})
    selection = Selection("ifd", Limits(most=max_ifd, share=keep_top), rng if control else None, number="ifd")
    loaded = LocalModel(model, layout=layout, device=device, max_tokens=max_tokens)

    def measure(spans: list[Span]) -> list[float]:
        given = loaded.losses(spans)
        alone = loaded.losses([loaded.alone(span) for span in spans])
        return [_ratio(one, other, ratio) for one, other in zip(given, alone, strict=True)]

    for record, value in scored(records, "ifd", loaded.answer, measure):
        yield from selection.take(record, value)
    yield from selection.rest()
    report("ifd", ifd=selection.distribution.deciles())
    findings.report(say_truncated("ifd", loaded))


def _ratio(given: float, alone: float, ratio: str) -> float:
    if ratio == "perplexity":
        return math.exp(given - alone) if given - alone < _LARGEST else math.inf
    return given / max(alone, _CERTAIN)
