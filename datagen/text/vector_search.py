"""Nearest unit vectors by cosine: all pairs exactly, within clusters (SemDeDup, arXiv 2303.09540), or by an index."""

from __future__ import annotations

import importlib.util
from typing import TYPE_CHECKING, Any

import numpy as np

from datagen.errors import ConfigError

if TYPE_CHECKING:
    from datagen.text.embeddings import Flags, Ints, Vectors

_TILE = 2048
_FIT_AT = 4096
_MARGIN = 1e-4
"""More than what rounding can do to a bound, and to a cosine."""
_SHORT = (32, 64, 96, 128, 192)
_LOOK = 300
"""What a look at a single pair costs, in multiples of its share of a full product (5.4 us to 12 ns on a busy core)."""
_LINKS, _EFFORT = 32, 128


class Exact:
    """All pairs, by blocked matrix products. Holds 4 bytes a dimension for each vector, and a fifth more.

    Most pairs are ruled out by fewer dimensions: in a basis turned so that the first k hold the most (the eigenvectors
    of the second moment), x.y <= x1.y1 + |x2||y2| for the first k and the rest (Cauchy-Schwarz). So with |x2| as one
    more dimension a product of k + 1 dimensions is an upper bound, and what it leaves is looked at in full.
    """

    def __init__(self, threshold: float) -> None:
        self._threshold = np.float32(threshold)
        self._held, self._short = _Rows(), _Rows()
        self._basis: Vectors | None = None

    def add(self, vectors: Vectors) -> None:
        """See ``Search.add``."""
        self._held.add(vectors)
        if self._basis is not None:
            self._short.add(_shortened(vectors, self._basis))
        elif len(self._held) >= _FIT_AT:
            self._basis = _basis(self._held.all, float(self._threshold))
            self._short.add(_shortened(self._held.all, self._basis))

    def best(self, block: Vectors) -> tuple[Ints, Vectors]:
        """See ``Search.best``."""
        index, cosine = np.full(len(block), -1), np.full(len(block), -2.0, np.float32)
        short = None if self._basis is None else _shortened(block, self._basis)
        for start in range(0, len(self._held), _TILE):
            rows, columns, found = self._near(block, short, start)
            order = np.lexsort((columns, -found, rows))
            rows, columns, found = rows[order], columns[order], found[order]
            first = np.flatnonzero(np.diff(rows, prepend=-1))
            better = first[found[first] > cosine[rows[first]]]
            index[rows[better]], cosine[rows[better]] = start + columns[better], found[better]
        return index, cosine

    def comparable(self, block: Vectors) -> Flags | None:
        """See ``Search.comparable``: all."""
        return None

    def _near(self, block: Vectors, short: Vectors | None, start: int) -> tuple[Ints, Ints, Vectors]:
        """The pairs at or above the threshold of a block with a tile of what is held."""
        tile = self._held.all[start : start + _TILE]
        if short is not None:
            bound = short @ self._short.all[start : start + _TILE].T
            rows, columns = _where(bound >= self._threshold - _MARGIN)
            if len(rows) * _LOOK < bound.size:
                found = np.einsum("ij,ij->i", block[rows], tile[columns])
                near = found >= self._threshold
                return rows[near], columns[near], found[near]
        cosines = block @ tile.T
        rows, columns = _where(cosines >= self._threshold)
        return rows, columns, cosines[rows, columns]


class Clusters:
    """Pairs within a cluster of k-means only: what SemDeDup does, since all pairs of billions are too many.

    Neighbours that k-means parted are missed.
    """

    def __init__(self, threshold: float, vectors: Vectors, count: int) -> None:
        """Clusters of these vectors, at most as many as there are."""
        from sklearn.cluster import MiniBatchKMeans

        self._threshold = threshold
        self._held = _Rows()
        self._members: dict[int, list[int]] = {}
        count = max(1, min(count, len(vectors)))
        means = MiniBatchKMeans(count, random_state=0, n_init=1, batch_size=4096).fit(vectors) if len(vectors) else None
        self._centres: Vectors = _unit(means.cluster_centers_) if means else np.zeros((1, 1), np.float32)

    def of(self, block: Vectors) -> Ints:
        """The cluster of each vector."""
        return np.asarray((block @ self._centres.T).argmax(axis=1))

    def add(self, vectors: Vectors) -> None:
        """See ``Search.add``."""
        for at, cluster in enumerate(self.of(vectors).tolist() if len(vectors) else (), len(self._held)):
            self._members.setdefault(cluster, []).append(at)
        self._held.add(vectors)

    def best(self, block: Vectors) -> tuple[Ints, Vectors]:
        """See ``Search.best``."""
        index, cosine = np.full(len(block), -1), np.full(len(block), -2.0, np.float32)
        clusters = self.of(block)
        for cluster in np.unique(clusters).tolist():
            if members := self._members.get(cluster):
                rows = np.flatnonzero(clusters == cluster)
                cosines = block[rows] @ self._held.all[members].T
                nearest = cosines.argmax(axis=1)
                found = cosines[np.arange(len(rows)), nearest]
                near = found >= self._threshold
                index[rows[near]], cosine[rows[near]] = np.array(members)[nearest[near]], found[near]
        return index, cosine

    def comparable(self, block: Vectors) -> Flags | None:
        """See ``Search.comparable``: those of one cluster."""
        clusters = self.of(block)
        same: Flags = clusters[:, None] == clusters[None, :]
        return same


class Index:
    """Approximate, by faiss's HNSW graph; for more rows than all pairs are bearable for. Added to by one thread, since
    the graph would otherwise differ from run to run."""

    def __init__(self, threshold: float) -> None:
        self._threshold = threshold
        self._graph: Any = None

    def add(self, vectors: Vectors) -> None:
        """See ``Search.add``."""
        import faiss

        if self._graph is None:
            self._graph = faiss.IndexHNSWFlat(vectors.shape[1], _LINKS, faiss.METRIC_INNER_PRODUCT)
            self._graph.hnsw.efConstruction = self._graph.hnsw.efSearch = _EFFORT
        threads = faiss.omp_get_max_threads()
        faiss.omp_set_num_threads(1)
        self._graph.add(np.ascontiguousarray(vectors))
        faiss.omp_set_num_threads(threads)

    def best(self, block: Vectors) -> tuple[Ints, Vectors]:
        """See ``Search.best``."""
        if self._graph is None or not len(block):
            return np.full(len(block), -1), np.full(len(block), -2.0, np.float32)
        found, at = self._graph.search(np.ascontiguousarray(block), 1)
        index, cosine = at[:, 0].astype(np.int64), found[:, 0]
        far = cosine < self._threshold
        index[far], cosine[far] = -1, -2.0
        return index, cosine

    def comparable(self, block: Vectors) -> Flags | None:
        """See ``Search.comparable``: all."""
        return None


def check_index() -> None:
    """Raises ``ConfigError`` where faiss is not installed."""
    if importlib.util.find_spec("faiss") is None:
        raise ConfigError("search: index needs faiss; pip install 'datagen[index]', or take exact or clusters")


class _Rows:
    """Rows of an array that grows by doubling, so that adding costs the same however many there are."""

    def __init__(self) -> None:
        self._room: Vectors = np.empty((0, 0), np.float32)
        self._count = 0

    def __len__(self) -> int:
        return self._count

    @property
    def all(self) -> Vectors:
        return self._room[: self._count]

    def add(self, rows: Vectors) -> None:
        if not len(rows):
            return
        if (needed := self._count + len(rows)) > len(self._room):
            grown = np.empty((max(needed, 2 * len(self._room), 1024), rows.shape[1]), np.float32)
            if self._count:
                grown[: self._count] = self.all
            self._room = grown
        self._room[self._count : needed] = rows
        self._count = needed


def _basis(vectors: Vectors, threshold: float) -> Vectors:
    """The first k eigenvectors of the second moment, k so that a product and looking at what is left cost least."""
    _, turned = np.linalg.eigh((vectors.T @ vectors).astype(np.float64))
    axes = turned[:, ::-1].astype(np.float32)
    sample = vectors[:: max(1, len(vectors) // 512)][:512] @ axes

    def cost(k: int) -> float:
        rest = np.sqrt(np.square(sample[:, k:]).sum(axis=1))
        left = sample[:, :k] @ sample[:, :k].T + np.outer(rest, rest) >= threshold
        return float(k + left.mean() * _LOOK * vectors.shape[1])

    best = min((k for k in _SHORT if k < vectors.shape[1]), key=cost, default=vectors.shape[1])
    return np.ascontiguousarray(axes[:, :best])


def _shortened(vectors: Vectors, basis: Vectors) -> Vectors:
    """The dimensions that are kept, and the length of the rest."""
    turned = vectors @ basis
    rest = np.sqrt(np.maximum(np.square(vectors).sum(axis=1) - np.square(turned).sum(axis=1), 0.0))
    return np.hstack([turned, rest[:, None]])


def _where(flags: Flags) -> tuple[Ints, Ints]:
    rows, columns = np.divmod(np.flatnonzero(flags), flags.shape[1])
    return rows, columns


def _unit(vectors: Vectors) -> Vectors:
    lengths = np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12)
    unit: Vectors = (vectors / lengths).astype(np.float32)
    return unit
