"""What the filters that ask a local model for likelihoods share: rows measured in blocks, with typed reasons."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator

import msgspec

from datagen.record import Record
from datagen.text.local_scores import Span, blocks


def scored(
    records: Iterable[Record],
    stage: str,
    read: Callable[[Record], Span | str],
    measure: Callable[[list[Span]], list[float]],
) -> Iterator[tuple[Record, float | None]]:
    """Each record with its number, kept as a score under the stage's name on its first answer, where it has one.

    One without is dropped: ``no_answer``, ``empty``, ``no_room`` (the prompt alone fills the model's context),
    ``chat_template`` (which refuses the record), ``not_finite``.
    """
    for block in blocks(records):
        spans = [read(record) for record in block]
        found = iter(measure([span for span in spans if isinstance(span, Span)]))
        for record, span in zip(block, spans, strict=True):
            if isinstance(span, str):
                yield record.drop(f"{stage}:{span}"), None
                continue
            value = significant(next(found))
            yield _kept(record, stage, value) if math.isfinite(value) else (record.drop(f"{stage}:not_finite"), None)


def significant(value: float) -> float:
    """Six digits: what follows is the noise of the batch that it was computed in."""
    return float(f"{value:.6g}")


def _kept(record: Record, name: str, value: float) -> tuple[Record, float]:
    if not record.answers:
        return record.labelled(**{name: value}), value
    first = record.answers[0].scored(name, value)
    return msgspec.structs.replace(record, answers=(first, *record.answers[1:])), value
