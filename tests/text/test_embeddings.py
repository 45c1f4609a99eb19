"""The pool of vectors against the plainest reference, with every search; the encoder and its cache."""

from __future__ import annotations

import multiprocessing
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest
from embedder import tiny_embedder

np = pytest.importorskip("numpy")

from datagen.text.embeddings import EmbeddingPool, Search  # noqa: E402
from datagen.text.encoder import Encoder, Precision, has_bfloat16  # noqa: E402
from datagen.text.vector_cache import VectorCache  # noqa: E402


def some_vectors(count: int, dimensions: int, spread: float):  # type: ignore[no-untyped-def]
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(count // 20, dimensions)) * np.linspace(3, 0.3, dimensions)
    vectors = centres[rng.integers(len(centres), size=count)] + rng.normal(size=(count, dimensions)) * spread
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def one_by_one(vectors, threshold: float):  # type: ignore[no-untyped-def]
    kept: list[int] = []
    expected: list[tuple[int, float] | None] = []
    for at, vector in enumerate(vectors):
        cosines = vectors[kept] @ vector if kept else np.empty(0)
        if len(kept) and cosines.max() >= threshold:
            expected.append((int(cosines.argmax()), float(cosines.max())))
        else:
            expected.append(None)
            kept.append(at)
    return expected


def exact(threshold: float) -> Search:
    from datagen.text.vector_search import Exact

    return Exact(threshold)


@pytest.mark.parametrize(("count", "dimensions", "spread"), [(1500, 16, 0.3), (7000, 64, 0.25), (7000, 48, 0.05)])
def test_the_pool_decides_as_one_by_one_against_all_that_was_kept(count: int, dimensions: int, spread: float) -> None:
    vectors = some_vectors(count, dimensions, spread)
    pool = EmbeddingPool(0.9, lambda texts: vectors[[int(text) for text in texts]], exact(0.9))
    expected = one_by_one(vectors, 0.9)
    found = pool.admit([str(at) for at in range(count)])
    assert [one is None for one in found] == [one is None for one in expected]
    assert 50 < expected.count(None) < count
    for one, other in zip(found, expected, strict=True):
        if one and other:
            assert one[1] == pytest.approx(other[1], abs=1e-4)


def test_fewer_dimensions_rule_out_pairs_and_lose_none(monkeypatch: pytest.MonkeyPatch) -> None:
    from datagen.text import vector_search

    monkeypatch.setattr(vector_search, "_FIT_AT", 1000)
    vectors = some_vectors(4000, 96, 0.7)
    search = vector_search.Exact(0.9)
    search.add(vectors[:3000])
    assert search._basis is not None
    index, cosine = search.best(vectors[3000:])
    cosines = vectors[3000:] @ vectors[:3000].T
    assert ((index >= 0) == (cosines.max(axis=1) >= 0.9)).all()
    near = index >= 0
    assert 100 < near.sum() < 900
    assert (index[near] == cosines.argmax(axis=1)[near]).all()
    assert cosine[near] == pytest.approx(cosines.max(axis=1)[near], abs=1e-5)


def test_what_was_filled_in_counts_and_is_named() -> None:
    axes = np.eye(4, dtype=np.float32)
    pool = EmbeddingPool(0.9, lambda texts: axes[["abcd".index(text) for text in texts]], exact(0.9))
    pool.fill(["a", "b"])
    assert pool.admit(["b", "c", "c"]) == [(1, 1.0), None, (2, 1.0)]
    assert pool.admit([]) == []


def test_clusters_compare_within_themselves_alone() -> None:
    from datagen.text.vector_search import Clusters

    angles = np.radians([0, 4, 90, 94, 46, 48])
    vectors = np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)
    search = Clusters(0.99, vectors[:4], 2)
    pool = EmbeddingPool(0.99, lambda texts: vectors[[int(text) for text in texts]], search)
    assert [near and near[0] for near in pool.admit(list("012345"))] == [None, 0, None, 1, None, None]
    assert vectors[4] @ vectors[5] > 0.99, "close, and parted by the border"


def counting(log: list[str]) -> Callable[[list[str]], object]:
    def compute(texts: list[str]):  # type: ignore[no-untyped-def]
        log.extend(texts)
        return np.array([[len(text), 1.0] for text in texts], np.float32)

    return compute


def test_the_cache_computes_each_text_once_and_survives(tmp_path: Path) -> None:
    log: list[str] = []
    for texts in (["a", "bb", "a"], ["bb", "ccc"]):
        cache = VectorCache("m", folder=tmp_path)
        assert cache.vectors(texts, counting(log))[:, 0].tolist() == [len(text) for text in texts]  # type: ignore[arg-type]
        cache.close()
    assert log == ["a", "bb", "ccc"]
    VectorCache("other", folder=tmp_path).vectors(["a"], counting(log))  # type: ignore[arg-type]
    assert log[3:] == ["a"]


def test_a_cache_too_large_forgets_the_older_half(tmp_path: Path) -> None:
    log: list[str] = []
    cache = VectorCache("m", folder=tmp_path, largest=50_000)
    texts = [f"text {at}" for at in range(2000)]
    for start in range(0, 2000, 100):
        cache.vectors(texts[start : start + 100], counting(log))  # type: ignore[arg-type]
    del log[:]
    cache.vectors(texts[-100:], counting(log))  # type: ignore[arg-type]
    assert not log
    cache.vectors(texts[:100], counting(log))  # type: ignore[arg-type]
    assert log
    assert (tmp_path / "m.sqlite").stat().st_size < 200_000


def test_a_damaged_or_forbidden_cache_costs_time_alone(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    (tmp_path / "m.sqlite").write_bytes(b"no database" * 1000)
    (tmp_path / "file").write_text("")
    for folder in (tmp_path, tmp_path / "file"):
        cache = VectorCache("m", folder=folder)
        assert cache.vectors(["a"], counting([]))[0, 0] == 1  # type: ignore[arg-type]
    assert caplog.text.count("no cache in") == 2


def _fill(folder: Path, turn: int) -> None:
    cache = VectorCache("m", folder=folder)
    for start in range(0, 300, 10):
        cache.vectors([f"{(start * turn + at) % 300}" for at in range(10)], counting([]))  # type: ignore[arg-type]


def test_processes_share_a_cache(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    writers = [context.Process(target=_fill, args=(tmp_path, turn)) for turn in (1, 3, 7)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0, 0, 0]
    log: list[str] = []
    VectorCache("m", folder=tmp_path).vectors([str(at) for at in range(300)], counting(log))  # type: ignore[arg-type]
    assert not log


@pytest.fixture
def cache_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("DATAGEN_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache" / "embeddings"


def opened(model: str, precision: Precision = "float32") -> Encoder:
    return Encoder(model, revision=None, device="cpu", batch_size=8, precision=precision)


def test_vectors_are_units_and_the_same_from_the_cache(cache_folder: Path) -> None:
    texts = ["Reverse the words.", "What is the capital of France?", "", "Reverse the words."]
    first = opened(tiny_embedder())(texts)
    assert np.linalg.norm(first, axis=1) == pytest.approx(np.ones(4), abs=1e-5)
    assert (opened(tiny_embedder())(texts) == first).all()
    assert len(list(cache_folder.glob("*.sqlite"))) == 1


def test_the_cache_goes_by_the_weights_and_not_by_the_name(cache_folder: Path, tmp_path: Path) -> None:
    from safetensors.torch import load_file, save_file

    opened(tiny_embedder())(["a"])
    copy = shutil.copytree(tiny_embedder(), tmp_path / "copy")
    opened(str(copy))(["a"])
    assert len(list(cache_folder.glob("*.sqlite"))) == 1
    weights = load_file(copy / "model.safetensors")
    name = next(iter(weights))
    save_file({**weights, name: weights[name] + 0.5}, copy / "model.safetensors", {"format": "pt"})
    opened(str(copy))(["a"])
    opened(tiny_embedder(), "bfloat16")(["a"])
    assert len(list(cache_folder.glob("*.sqlite"))) == 3


def test_bfloat16_stays_near_and_says_where_it_is_slow(cache_folder: Path, caplog: pytest.LogCaptureFixture) -> None:
    texts = ["Reverse the words dog cat.", "What is the capital of France?"]
    exactly, nearly = opened(tiny_embedder())(texts), opened(tiny_embedder(), "bfloat16")(texts)
    assert (exactly != nearly).any()
    assert (exactly * nearly).sum(axis=1).min() > 0.999
    assert ("no bfloat16 instructions" in caplog.text) == (not has_bfloat16())
