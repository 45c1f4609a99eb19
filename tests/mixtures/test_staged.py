from __future__ import annotations

import random

import pytest

from datagen.errors import ConfigError
from datagen.mixtures.staged import staged
from datagen.record import Record, instruction

SOURCES = {name: [instruction(f"{name}{n}") for n in range(size)] for name, size in {"easy": 20, "hard": 5}.items()}


def ordered(seed: int = 0, **options: object) -> list[Record]:
    return list(staged(SOURCES, rng=random.Random(seed), **options))  # type: ignore[arg-type]


def test_the_sources_come_one_after_the_other_each_shuffled() -> None:
    records = ordered()
    assert [record.labels["mixture"] for record in records] == ["easy"] * 20 + ["hard"] * 5
    assert [record.labels["stage"] for record in records] == [1] * 20 + [2] * 5
    assert {record.id for record in records[:20]} == {record.id for record in SOURCES["easy"]}
    assert [record.id for record in records[:20]] != [record.id for record in SOURCES["easy"]]
    assert not any("repeat" in record.labels for record in records)


def test_epochs_repeat_a_source_before_the_next_begins_in_another_order() -> None:
    records = ordered(epochs={"easy": 2})
    assert [record.labels["mixture"] for record in records] == ["easy"] * 40 + ["hard"] * 5
    assert [record.labels.get("repeat") for record in records] == [None] * 20 + [1] * 20 + [None] * 5
    first, second = ([record.id for record in records[at : at + 20]] for at in (0, 20))
    assert sorted(first) == sorted(second)
    assert first != second


def test_an_order_of_their_own_is_kept_where_asked() -> None:
    assert [record.id for record in ordered(shuffle=False)] == [row.id for rows in SOURCES.values() for row in rows]


def test_the_same_seed_gives_the_same_rows() -> None:
    assert ordered() == ordered()
    assert ordered() != ordered(1)


@pytest.mark.parametrize(("epochs", "message"), [(0, "not at least 1"), ({"x": 2}, "'x' is no source")])
def test_impossible_epochs_are_refused(epochs: object, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        ordered(epochs=epochs)
