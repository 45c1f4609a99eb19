"""DEITA (arXiv 2312.15685): the best rows that differ from each other, best first, until there are enough.

The paper ranks rows by complexity times quality, which ``filters.grade`` gives with ``rubrics: [complexity, quality]``.
Deviations: its scores come of two LLaMA models that were trained on ChatGPT's ratings of evolved variants, ours of
whatever graded the rows; its embeddings are LLaMA's own, ours a sentence-transformers model's.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from typing import Any

from datagen.errors import ConfigError
from datagen.filters.duplicates import novel
from datagen.record import Record
from datagen.stage import ModelName
from datagen.text.embeddings import EmbeddingPool
from datagen.text.encoder import Encoder
from datagen.text.words import Scope


def check(arguments: dict[str, Any]) -> None:
    """Raises ``ConfigError`` for a size that is none, no score to go by, and a threshold out of range."""
    if arguments["size"] is not None and arguments["size"] < 1:
        raise ConfigError(f"select_diverse: size: {arguments['size']} is not 1 or more")
    if not arguments["by"]:
        raise ConfigError("select_diverse: by: names the scores that are multiplied, such as [complexity, quality]")
    if not 0 < arguments["threshold"] <= 1:
        raise ConfigError(f"select_diverse: threshold: {arguments['threshold']} is not above 0 and at most 1")
    if arguments["batch_size"] < 1:
        raise ConfigError(f"select_diverse: batch_size: {arguments['batch_size']} is not 1 or more")


def select_diverse(
    records: Iterable[Record],
    *,
    model: ModelName,
    size: int | None = None,
    by: tuple[str, ...] = ("complexity", "quality"),
    threshold: float = 0.9,
    scope: Scope = "all",
    device: str = "auto",
    batch_size: int = 64,
) -> Iterator[Record]:
    """The ``size`` rows (null: all) with the greatest product of the scores named in ``by``, none like a better one.

    A row is passed over (``similar``) where its cosine with a row that was kept is ``threshold`` or more; the rows that
    are left when there are enough are ``surplus``. Ties go to the earlier row. Holds all rows, and a vector for each
    that was looked at. ``model`` is a sentence-transformers model, by folder or hub name.

    Raises:
        ConfigError: a setting out of range, or a model that cannot be loaded.
    """
    check({"size": size, "by": by, "threshold": threshold, "batch_size": batch_size})
    held = list(records)
    values = [_product(record, by) for record in held]
    order = sorted((at for at, value in enumerate(values) if value is not None), key=lambda at: -(values[at] or 0.0))
    judged: dict[int, Record] = {}
    if order:
        from datagen.text.vector_search import Exact

        encode = Encoder(model, revision=None, device=device, batch_size=batch_size)
        pool = EmbeddingPool(threshold, encode, Exact(threshold))
        ranked = (held[at] for at in order)
        new = novel(ranked, pool, reason="select_diverse:similar", scope=scope, against=())
        judged = dict(zip(order, _enough(new, size), strict=False))
    for at, record in enumerate(held):
        yield judged.get(at) or _left(record, values[at], by)


def _enough(rows: Iterator[Record], size: int | None) -> Iterator[Record]:
    """Rows until ``size`` of them were kept."""
    kept = 0
    while size is None or kept < size:
        record = next(rows, None)
        if record is None:
            return
        kept += record.dropped is None
        yield record


def _left(record: Record, value: float | None, by: tuple[str, ...]) -> Record:
    if value is not None:
        return record.drop("select_diverse:surplus", score=value)
    scores = record.answers[0].scores if record.answers else {}
    return record.drop("select_diverse:no_score", lacks=[name for name in by if name not in scores])


def _product(record: Record, by: tuple[str, ...]) -> float | None:
    scores = record.answers[0].scores if record.answers else {}
    return math.prod(scores[name] for name in by) if all(name in scores for name in by) else None
