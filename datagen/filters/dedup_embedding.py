"""Rows that say the same in other words, by the cosine of their sentence embeddings (SemDeDup, arXiv 2303.09540).

Deviation: SemDeDup looks for neighbours within clusters, since it has billions of rows; here every pair counts.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any

from datagen.errors import ConfigError
from datagen.filters.duplicates import Keep, novel, preferring
from datagen.record import Record
from datagen.stage import Rows
from datagen.text.embeddings import EmbeddingPool, encoder
from datagen.text.words import Scope


def dedup_embedding(
    records: Iterable[Record],
    *,
    model: str,
    threshold: float = 0.9,
    scope: Scope = "instruction",
    keep: Keep = "first",
    against: Rows | None = None,
    device: str = "auto",
    batch_size: int = 64,
) -> Iterator[Record]:
    """Records whose cosine with all that was kept, and with ``against``, is below ``threshold``.

    The others carry their nearest: its text (``neighbour``), its id (``first``) and the ``similarity``. ``model`` is a
    sentence-transformers model, by folder or hub name (``sentence-transformers/all-MiniLM-L6-v2``); a text is cut at
    its context. Exact up to the rounding of float32. Holds a vector for each row that it kept.

    Raises:
        ConfigError: a threshold out of range, or a model that cannot be loaded.
    """
    check({"threshold": threshold, "batch_size": batch_size})
    pool = EmbeddingPool(threshold, encoder(model, device, batch_size))

    def first_stays(rows: Iterable[Record]) -> Iterator[Record]:
        return novel(rows, pool, reason="dedup_embedding:similar", scope=scope, against=against or ())

    return preferring(records, keep, first_stays)


def check(arguments: dict[str, Any]) -> None:
    """Raises ``ConfigError`` for a threshold that no cosine of interest has, and for an empty batch."""
    if not 0 < arguments["threshold"] <= 1:
        raise ConfigError(f"dedup_embedding: threshold: {arguments['threshold']} is not above 0 and at most 1")
    if arguments["batch_size"] < 1:
        raise ConfigError(f"dedup_embedding: batch_size: {arguments['batch_size']} is not 1 or more")
