from __future__ import annotations

import random
from pathlib import Path

import pytest
from embedder import tiny_embedder

from datagen.errors import ConfigError
from datagen.filters.dedup_embedding import dedup_embedding
from datagen.record import Record, instruction
from datagen.text.embeddings import EmbeddingPool

np = pytest.importorskip("numpy")


def unit(vectors):  # type: ignore[no-untyped-def]
    return (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)


def test_the_pool_decides_as_one_by_one_against_all_that_was_kept() -> None:
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(60, 16))
    vectors = unit(centres[rng.integers(60, size=1500)] + rng.normal(size=(1500, 16)) * 0.3)
    pool = EmbeddingPool(0.9, lambda texts: vectors[[int(text) for text in texts]])
    kept: list[int] = []
    expected: list[tuple[int, float] | None] = []
    for at, vector in enumerate(vectors):
        cosines = vectors[kept] @ vector if kept else np.empty(0)
        if len(kept) and cosines.max() >= 0.9:
            expected.append((int(cosines.argmax()), float(cosines.max())))
        else:
            expected.append(None)
            kept.append(at)
    found = pool.admit([str(at) for at in range(1500)])
    assert [one is None for one in found] == [one is None for one in expected]
    assert 100 < len(kept) < 1400
    for one, other in zip(found, expected, strict=True):
        if one and other:
            assert one[0] == other[0]
            assert one[1] == pytest.approx(other[1], abs=1e-4)


def test_what_was_filled_in_counts_and_is_named() -> None:
    axes = np.eye(4, dtype=np.float32)
    pool = EmbeddingPool(0.9, lambda texts: axes[["abcd".index(text) for text in texts]])
    pool.fill(["a", "b"])
    assert pool.admit(["b", "c", "c"]) == [(1, 1.0), None, (2, 1.0)]
    assert pool.admit([]) == []


@pytest.fixture
def model() -> str:
    return tiny_embedder()


def rows() -> list[Record]:
    rng = random.Random(0)
    words = ["dog", "cat", "horse", "red", "blue", "seven", "Monday", "Rome"]
    texts = [f"Reverse the words {' '.join(rng.sample(words, 4))}." for _ in range(12)]
    return [instruction(text, "x") for text in [*texts, texts[3], "What is the capital of France?"]]


def test_a_real_model_finds_the_copy_and_loses_nothing(model: str) -> None:
    given = rows()
    out = list(dedup_embedding(iter(given), model=model, threshold=0.9999))
    assert [record.id for record in out] == [record.id for record in given]
    assert out[12].dropped is not None
    assert out[12].dropped.reason == "dedup_embedding:similar"
    assert out[12].dropped.evidence["first"] == given[3].id
    assert out[12].dropped.evidence["similarity"] >= 0.9999
    assert out[13].dropped is None


def test_against_drops_and_never_comes_out(model: str) -> None:
    given = rows()
    out = list(dedup_embedding(given[:2], model=model, threshold=0.9999, against=given[1:2]))
    assert [bool(record.dropped) for record in out] == [False, True]


def test_a_model_that_is_none_and_a_threshold_that_is_none_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is not above 0 and at most 1"):
        list(dedup_embedding([], model="m", threshold=1.2))
    pytest.importorskip("sentence_transformers")
    with pytest.raises(ConfigError, match="cannot be loaded"):
        list(dedup_embedding([], model=str(tmp_path)))
