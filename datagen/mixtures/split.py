"""Train and test parts that no near-duplicate straddles."""

from __future__ import annotations

import logging
import random
from collections.abc import Iterable, Iterator, Sequence
from typing import Any

from datagen.errors import ConfigError
from datagen.record import Record
from datagen.text.jaccard import PythonIndex, jaccard_pool
from datagen.text.rouge import NoveltyPool
from datagen.text.words import Scope, normal, scoped, words

logger = logging.getLogger("datagen")


def check(arguments: dict[str, Any]) -> None:
    """Raises ``ConfigError`` for a test part that cannot be, and a similarity that no two rows can have."""
    test, threshold = arguments["test"], arguments["threshold"]
    if not test >= 0 or (test >= 1 and test % 1 != 0):
        raise ConfigError(f"split: test: {test} is neither a share below 1 nor a number of rows")
    if threshold is not None:
        NoveltyPool(threshold)
    if (jaccard := arguments["jaccard"]) is not None:
        jaccard_pool(jaccard, "word", arguments["ngram"], "portable")


def split(
    records: Iterable[Record],
    *,
    test: float = 0.1,
    rng: random.Random,
    threshold: float | None = 0.7,
    jaccard: float | None = None,
    ngram: int = 5,
    scope: Scope = "instruction",
    together: str | None = None,
) -> Iterator[Record]:
    """Every record, in order, with the label ``split``: ``train`` or ``test``. Holds all of them.

    ``test`` is a share below 1, or a number of rows. Rows with the same normalised text, or ROUGE-L F of at least
    ``threshold`` over words of any script (None: not looked at), or ``jaccard`` of their word n-grams of length
    ``ngram`` (which sees moved paragraphs that ROUGE-L does not), or the same value of the label ``together`` (a
    document, a seed task), are chained into clusters, and a cluster stays whole; so the test part may come out smaller
    than asked, which the log then says.
    """
    check({"test": test, "threshold": threshold, "jaccard": jaccard, "ngram": ngram})
    held = list(records)
    wanted = round(test * len(held)) if test < 1 else min(int(test), len(held))
    groups = [record.labels.get(together) for record in held] if together else []
    if together and held and all(group is None for group in groups):
        raise ConfigError(f"split: together: no row has the label {together!r}")
    texts = [scoped(record, scope) for record in held]
    clusters = clustered(texts, threshold, groups, PythonIndex(jaccard, "word", ngram) if jaccard else None)
    rng.shuffle(clusters)
    chosen: set[int] = set()
    for cluster in clusters:
        if len(chosen) + len(cluster) <= wanted:
            chosen.update(cluster)
    if len(chosen) < wanted:
        largest = max(map(len, clusters))
        logger.warning(
            "split: %d of %d test rows: near-duplicates form clusters of up to %d", len(chosen), wanted, largest
        )
    for at, record in enumerate(held):
        yield record.labelled(split="test" if at in chosen else "train")


def clustered(
    texts: Sequence[str], threshold: float | None, groups: Sequence[Any] = (), index: PythonIndex | None = None
) -> list[list[int]]:
    """Indices of texts that are near-duplicates of each other, directly or by way of others, in order of appearance.

    Texts of one group (None: of none), and those that ``index`` finds similar, count as near-duplicates.
    """
    parent = list(range(len(texts)))

    def root(at: int) -> int:
        while parent[at] != at:
            parent[at] = at = parent[parent[at]]
        return at

    first: dict[str, int] = {}
    pool = NoveltyPool(threshold or 1.0)
    owners: list[int] = []
    for at, text in enumerate(texts):
        twin = first.setdefault(normal(text), at)
        if twin != at:
            parent[root(at)] = root(twin)
        elif threshold is not None:
            tokens = words(text)
            for near, _ in pool.neighbours(tokens):
                parent[root(owners[near])] = root(at)
            pool.add(tokens)
            owners.append(at)
    for at, similar in enumerate(index.link(texts) if index else ()):
        for near in similar:
            parent[root(near)] = root(at)
    leaders: dict[str, int] = {}
    for at, group in enumerate(groups):
        if group is not None:
            parent[root(at)] = root(leaders.setdefault(repr(group), at))
    clusters: dict[int, list[int]] = {}
    for at in range(len(texts)):
        clusters.setdefault(root(at), []).append(at)
    return list(clusters.values())
