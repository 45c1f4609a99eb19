from __future__ import annotations

import random
from pathlib import Path

import pytest
from embedder import minilm, tiny_embedder

from datagen.errors import ConfigError
from datagen.filters.dedup_embedding import dedup_embedding
from datagen.plugins import load_stage
from datagen.record import Record, instruction
from datagen.stage import ModelName


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATAGEN_CACHE", str(tmp_path / "cache"))


@pytest.fixture
def model() -> ModelName:
    return ModelName(tiny_embedder())


def rows() -> list[Record]:
    rng = random.Random(0)
    words = ["dog", "cat", "horse", "red", "blue", "seven", "Monday", "Rome"]
    texts = [f"Reverse the words {' '.join(rng.sample(words, 4))}." for _ in range(12)]
    return [instruction(text, "x") for text in [*texts, texts[3], "What is the capital of France?"]]


def test_a_real_model_finds_the_copy_and_loses_nothing(model: ModelName) -> None:
    given = rows()
    out = list(dedup_embedding(iter(given), model=model, threshold=0.9999))
    assert [record.id for record in out] == [record.id for record in given]
    assert out[12].dropped is not None
    assert out[12].dropped.reason == "dedup_embedding:similar"
    assert out[12].dropped.evidence["first"] == given[3].id
    assert out[12].dropped.evidence["similarity"] >= 0.9999
    assert out[13].dropped is None


def test_against_drops_and_never_comes_out(model: ModelName) -> None:
    given = rows()
    out = list(dedup_embedding(given[:2], model=model, threshold=0.9999, against=given[1:2]))
    assert [bool(record.dropped) for record in out] == [False, True]


def test_a_model_that_is_none_and_a_threshold_that_is_none_are_one_line(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="is not above 0 and at most 1"):
        list(dedup_embedding([], model=ModelName("m"), threshold=1.2))
    pytest.importorskip("sentence_transformers")
    with pytest.raises(ConfigError, match="cannot be loaded"):
        list(dedup_embedding([], model=ModelName(str(tmp_path))))


def test_clusters_find_the_copy_within_its_cluster_and_name_it(model: ModelName) -> None:
    given = rows()
    out = list(dedup_embedding(given, model=model, threshold=0.9999, search="clusters", clusters=3))
    assert [record.id for record in out] == [record.id for record in given]
    assert [at for at, record in enumerate(out) if record.dropped] == [12]
    assert out[12].dropped
    assert out[12].dropped.evidence["cluster"] in range(3)
    assert list(dedup_embedding([], model=model, search="clusters")) == []


def test_an_index_finds_the_copy(model: ModelName) -> None:
    pytest.importorskip("faiss")
    out = list(dedup_embedding(rows(), model=model, threshold=0.9999, search="index"))
    assert [at for at, record in enumerate(out) if record.dropped] == [12]


def test_keep_longest_drops_the_shorter_of_two_alike(model: ModelName) -> None:
    short, long = (
        instruction("Name a colour of the sky.", "Blue"),
        instruction("Name a colour of the sky.", "It is blue"),
    )
    out = list(dedup_embedding([short, long], model=model, keep="longest"))
    assert [bool(record.dropped) for record in out] == [True, False]


@pytest.mark.parametrize("wrong", [{"clusters": 0}, {"clusters": 5}, {"batch_size": 0}, {"threshold": 0.0}])
def test_impossible_settings_are_refused_before_any_work(wrong: dict[str, float]) -> None:
    given = {"threshold": 0.9, "batch_size": 64, "search": "exact", "clusters": None, **wrong}
    with pytest.raises(ConfigError):
        load_stage("filters.dedup_embedding").check(given)


def test_minilm_finds_what_is_said_in_other_words() -> None:
    given = [
        instruction("Write a short poem about the sea."),
        instruction("How do I sort a list in Python?"),
        instruction("Compose a brief poem about the ocean."),
    ]
    out = list(dedup_embedding(given, model=ModelName(minilm()), threshold=0.8))
    assert [bool(record.dropped) for record in out] == [False, False, True]
    assert out[2].dropped
    assert out[2].dropped.evidence["neighbour"] == "Write a short poem about the sea."
