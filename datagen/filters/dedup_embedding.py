"""Rows that say the same in other words, by the cosine of their sentence embeddings (SemDeDup, arXiv 2303.09540).

Deviation: SemDeDup looks for neighbours within clusters of k-means, since it has billions of rows; here every pair
counts, unless ``search: clusters`` is asked for. And of several neighbours it keeps the one that is farthest from the
centre of its cluster; here ``keep`` says which.
"""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any, Literal

from datagen.errors import ConfigError
from datagen.filters.duplicates import Keep, novel, preferring
from datagen.record import Record
from datagen.stage import ModelName, Rows
from datagen.text.embeddings import BLOCK, EmbeddingPool, Encode
from datagen.text.encoder import Encoder, Precision
from datagen.text.words import Scope, scoped

if TYPE_CHECKING:
    from datagen.text.vector_search import Clusters

Search = Literal["exact", "clusters", "index"]
"""``exact``: all pairs, for up to about a million rows; ``clusters``: pairs within a cluster, which holds all rows;
``index``: an approximate index, which needs faiss."""


def dedup_embedding(
    records: Iterable[Record],
    *,
    model: ModelName,
    revision: str | None = None,
    threshold: float = 0.9,
    scope: Scope = "instruction",
    keep: Keep = "first",
    against: Rows | None = None,
    search: Search = "exact",
    clusters: int | None = None,
    precision: Precision = "float32",
    device: str = "auto",
    batch_size: int = 64,
) -> Iterator[Record]:
    """Records whose cosine with all that was kept, and with ``against``, is below ``threshold``.

    The others carry their nearest: its text (``neighbour``), its id (``first``), the ``similarity``, and with ``search:
    clusters`` the number of their ``cluster`` (of ``clusters``, by default the square root of the rows). ``model`` is
    a sentence-transformers model, by folder or hub name (``sentence-transformers/all-MiniLM-L6-v2``, and the hub's
    ``revision``); a text is cut at its context. Vectors are kept in ``$DATAGEN_CACHE`` or ``~/.cache/datagen``. Exact
    up to the rounding of float32. Holds a vector for each row that it kept.

    Raises:
        ConfigError: a threshold out of range, or a model that cannot be loaded.
    """
    check({"threshold": threshold, "batch_size": batch_size, "search": search, "clusters": clusters})
    encode = Encoder(model, revision=revision, device=device, batch_size=batch_size, precision=precision)
    known = list(against or ())
    if search == "clusters":
        records = list(records)
        texts = list(dict.fromkeys(scoped(record, scope) for record in itertools.chain(known, records)))
        found = _clusters(texts, encode, threshold, clusters)
        pool = EmbeddingPool(threshold, encode, found)
    else:
        pool = EmbeddingPool(threshold, encode, _search(search, threshold))

    def first_stays(rows: Iterable[Record]) -> Iterator[Record]:
        for record in novel(rows, pool, reason="dedup_embedding:similar", scope=scope, against=known):
            if record.dropped and search == "clusters":
                cluster = int(found.of(encode([scoped(record, scope)]))[0])
                record = record.drop(record.dropped.reason, **record.dropped.evidence, cluster=cluster)
            yield record

    return preferring(records, keep, first_stays)


def check(arguments: dict[str, Any]) -> None:
    """Raises ``ConfigError`` for what no cosine, batch or clustering has, and for an index without faiss."""
    if not 0 < arguments["threshold"] <= 1:
        raise ConfigError(f"dedup_embedding: threshold: {arguments['threshold']} is not above 0 and at most 1")
    if arguments["batch_size"] < 1:
        raise ConfigError(f"dedup_embedding: batch_size: {arguments['batch_size']} is not 1 or more")
    if (clusters := arguments["clusters"]) is not None and (clusters < 1 or arguments["search"] != "clusters"):
        raise ConfigError(f"dedup_embedding: clusters: {clusters}: 1 or more, and with search: clusters")
    if arguments["search"] == "index":
        from datagen.text.vector_search import check_index

        check_index()


def _search(search: Search, threshold: float) -> Any:
    from datagen.text.vector_search import Exact, Index

    return Exact(threshold) if search == "exact" else Index(threshold)


def _clusters(texts: list[str], encode: Encode, threshold: float, count: int | None) -> Clusters:
    import numpy as np

    from datagen.text.vector_search import Clusters

    blocks = [encode(texts[start : start + BLOCK]) for start in range(0, len(texts), BLOCK)]
    vectors = np.vstack(blocks) if blocks else np.empty((0, 1), np.float32)
    return Clusters(threshold, vectors, count or math.isqrt(len(texts)))
