from __future__ import annotations

import random
from collections import Counter

import pytest

from datagen.errors import ConfigError
from datagen.mixtures.blend import blend
from datagen.record import Record, instruction

SOURCES = {name: [instruction(f"{name}{n}") for n in range(size)] for name, size in {"a": 90, "b": 30}.items()}


def mixed(seed: int = 0, **options: object) -> list[Record]:
    return list(blend(SOURCES, rng=random.Random(seed), **options))  # type: ignore[arg-type]


def counts(records: list[Record]) -> dict[str, int]:
    return dict(Counter(record.labels["mixture"] for record in records))


def test_everything_is_mixed_by_default() -> None:
    records = mixed()
    assert counts(records) == {"a": 90, "b": 30}
    assert [record.instruction for record in records] != [row.instruction for rows in SOURCES.values() for row in rows]


def test_shares_and_size_are_met_without_repeats() -> None:
    records = mixed(shares={"a": 0.9, "b": 0.1}, size=50)
    assert counts(records) == {"a": 45, "b": 5}
    assert len({record.id for record in records}) == 50


def test_without_a_size_the_shares_hold_as_far_as_the_rows_go() -> None:
    assert counts(mixed(shares={"a": 1, "b": 1})) == {"a": 30, "b": 30}
    assert counts(mixed(shares={"b": 1})) == {"b": 30}


def test_rounding_keeps_the_size() -> None:
    assert sum(counts(mixed(shares={"a": 2, "b": 1}, size=50)).values()) == 50


def test_a_source_too_small_gives_all_it_has_and_the_log_says_so(caplog: pytest.LogCaptureFixture) -> None:
    assert counts(mixed(shares={"a": 0.5, "b": 0.5}, size=100)) == {"a": 50, "b": 30}
    assert "b: 50 rows wanted, 30 there" in caplog.text


def test_repeating_goes_through_all_rows_before_any_comes_again() -> None:
    records = mixed(shares={"a": 0.5, "b": 0.5}, size=140, repeat=True)
    assert counts(records) == {"a": 70, "b": 70}
    times = Counter(record.id for record in records if record.labels["mixture"] == "b")
    assert sorted(times.values()) == [2] * 20 + [3] * 10


def test_the_same_seed_gives_the_same_rows() -> None:
    assert mixed(size=20) == mixed(size=20)
    assert mixed(size=20) != mixed(1, size=20)


@pytest.mark.parametrize(
    ("shares", "message"), [({"c": 1}, "'c' is no source; allowed: a, b"), ({"a": -1}, "not negative")]
)
def test_impossible_shares_are_refused(shares: dict[str, float], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        mixed(shares=shares)


def test_empty_sources_give_nothing() -> None:
    assert list(blend({"a": []}, rng=random.Random(0), shares={"a": 1}, size=5, repeat=True)) == []
    assert list(blend({"a": []}, rng=random.Random(0))) == []
