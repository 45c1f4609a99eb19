from __future__ import annotations

import random
from collections import Counter
from pathlib import Path

import pytest

from datagen import assets
from datagen.errors import ConfigError
from datagen.mixtures import presets
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
    records = mixed(shares={"a": 0.5, "b": 0.5}, size=140, allow_repeats=True)
    assert counts(records) == {"a": 70, "b": 70}
    times = Counter(record.id for record in records if record.labels["mixture"] == "b")
    assert sorted(times.values()) == [2] * 20 + [3] * 10


def test_repeats_are_labelled_and_the_log_counts_them(caplog: pytest.LogCaptureFixture) -> None:
    records = mixed(shares={"a": 0.5, "b": 0.5}, size=140, allow_repeats=True)
    assert Counter(record.labels.get("repeat") for record in records) == {None: 100, 1: 30, 2: 10}
    assert "b: 70 rows wanted, 30 there: 40 are repeats" in caplog.text


def test_counts_are_met_and_a_source_without_one_gives_nothing() -> None:
    assert counts(mixed(counts={"a": 7, "b": 30})) == {"a": 7, "b": 30}
    assert counts(mixed(counts={"b": 3})) == {"b": 3}
    assert counts(mixed(counts={"b": 40}, allow_repeats=True)) == {"b": 40}


def test_a_temperature_flattens_the_lengths() -> None:
    assert counts(mixed(temperature=1, size=40)) == {"a": 30, "b": 10}
    assert counts(mixed(temperature=2, size=41)) == {"a": 26, "b": 15}  # square roots of 90 and 30: 1.732 to 1
    assert counts(mixed(temperature=1000, size=40)) == {"a": 20, "b": 20}
    assert counts(mixed(temperature=1000)) == {"a": 30, "b": 30}
    assert counts(mixed(temperature=0.001, size=40)) == {"a": 40}  # 90 to the power 1000 is beyond a float


def test_caps_bound_what_counts_and_what_is_given(caplog: pytest.LogCaptureFixture) -> None:
    assert counts(mixed(caps=40)) == {"a": 40, "b": 30}
    assert counts(mixed(caps={"a": 10})) == {"a": 10, "b": 30}
    assert counts(mixed(caps={"a": 0})) == {"b": 30}
    assert counts(mixed(caps={"a": 10}, shares={"a": 1, "b": 1})) == {"a": 10, "b": 10}
    assert counts(mixed(caps={"a": 10}, counts={"a": 20, "b": 5})) == {"a": 10, "b": 5}
    assert "a: 20 rows wanted, its cap is 10" in caplog.text


def test_a_maximal_rate_bounds_what_counts_and_not_what_is_given() -> None:
    assert counts(mixed(rate_max=30, size=60)) == {"a": 30, "b": 30}
    assert counts(mixed(rate_max=45, size=100)) == {"a": 60, "b": 30}
    assert counts(mixed(rate_max=45, caps={"a": 50}, size=100)) == {"a": 50, "b": 30}
    assert counts(mixed(rate_max=45)) == {"a": 45, "b": 30}


def test_a_count_may_say_how_often_a_source_is_gone_through() -> None:
    records = mixed(counts={"a": "all", "b": "10x"})
    assert counts(records) == {"a": 90, "b": 300}
    times = Counter(record.id for record in records if record.labels["mixture"] == "b")
    assert set(times.values()) == {10}


def test_every_preset_is_a_mixture_of_its_own_sources() -> None:
    for path in (assets.folder("seeds") / "mixtures").glob("*.yaml"):
        found = presets.settings(path.stem)
        names = found.get("shares") or found.get("counts") or {"a": 1, "b": 1}
        sources = {name: [instruction(f"{name} {n}") for n in range(60)] for name in names}
        assert {record.labels["mixture"] for record in blend(sources, preset=path.stem, rng=random.Random(0))} == {
            *names
        }


def test_flan_counts_at_most_3000_rows_of_a_source() -> None:
    sources = {name: [instruction(f"{name} {n}") for n in range(size)] for name, size in {"a": 5000, "b": 500}.items()}
    assert counts(list(blend(sources, preset="flan", rng=random.Random(0)))) == {"a": 3000, "b": 500}


def test_instructgpt_gives_its_use_cases_their_shares() -> None:
    names = presets.settings("instructgpt")["shares"]
    sources = {name: [instruction(f"{name} {n}") for n in range(500)] for name in names}
    found = counts(list(blend(sources, preset="instructgpt", size=1000, rng=random.Random(0))))
    assert (found["generation"], found["open_qa"], found["extract"]) == (
        457,
        124,
        19,
    )  # the published shares sum to 99.9


def test_sources_that_a_preset_misses_are_named_and_others_refused(caplog: pytest.LogCaptureFixture) -> None:
    rows = SOURCES["a"]
    found = list(blend({"t0": rows, "cot": rows}, preset="flan_v2", size=37, rng=random.Random(0)))
    assert counts(found) == {"t0": 32, "cot": 5}
    assert "preset flan_v2: without flan2021, niv2, dialog" in caplog.text
    with pytest.raises(ConfigError, match="'a' is none of its sources: flan2021, t0"):
        mixed(preset="flan_v2")


def test_what_is_given_goes_over_the_preset_and_files_of_ones_own_are_presets(tmp_path: Path) -> None:
    assert counts(mixed(preset="flan", rate_max=60, size=60)) == {"a": 40, "b": 20}
    (tmp_path / "mine.yaml").write_text("rate_max: 5\n")
    assert counts(mixed(preset=str(tmp_path / "mine.yaml"), size=10)) == {"a": 5, "b": 5}
    (tmp_path / "mine.yaml").write_text("rate_mux: 5\n")
    with pytest.raises(ConfigError, match=r"mine\.yaml: Object contains unknown field `rate_mux`"):
        mixed(preset=str(tmp_path / "mine.yaml"))


def test_strata_keep_their_shares_in_every_source() -> None:
    rows = {name: [instruction(f"{name}{n}", labels={"topic": n % 3 == 0}) for n in range(90)] for name in "ab"}
    for seed in range(5):
        found = list(blend(rows, size=40, stratify="topic", rng=random.Random(seed)))
        drawn = Counter((record.labels["mixture"], record.labels["topic"]) for record in found)
        assert drawn == {("a", True): 7, ("a", False): 13, ("b", True): 7, ("b", False): 13}
    with pytest.raises(ConfigError, match="no row of a has the label 'subject'"):
        list(blend(rows, size=40, stratify="subject", rng=random.Random(0)))


def test_the_same_seed_gives_the_same_rows() -> None:
    assert mixed(size=20) == mixed(size=20)
    assert mixed(size=20) != mixed(1, size=20)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"shares": {"c": 1}}, "shares: 'c' is no source; allowed: a, b"),
        ({"counts": {"c": 1}}, "counts: 'c' is no source"),
        ({"caps": {"c": 1}}, "caps: 'c' is no source"),
        ({"shares": {"a": -1}}, "not negative"),
        ({"shares": {"a": float("nan")}}, "not negative"),
        ({"shares": {"a": 0, "b": 0}}, "shares: all are 0"),
        ({"counts": {"a": -1}}, "counts: a: -1 is negative"),
        ({"caps": -1}, "caps: -1 is negative"),
        ({"size": -1}, "size: -1 is negative"),
        ({"rate_max": -1}, "rate_max: -1 is negative"),
        ({"counts": {"a": "half"}}, "counts: a: 'half' is neither a number nor all nor, say, 10x"),
        ({"counts": {"a": "0x"}}, "'0x' is neither"),
        ({"shares": {"a": 1}, "rate_max": 3}, "shares and rate_max: give one"),
        ({"preset": "flann"}, "preset: no 'flann'; there are: flan, flan_v2, instructgpt"),
        ({"temperature": 0}, "temperature: 0 is not above 0"),
        ({"counts": {"a": 1}, "size": 3}, "counts and size: give one"),
        ({"shares": {"a": 1}, "temperature": 2}, "shares and temperature: give one"),
    ],
)
def test_impossible_mixtures_are_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        mixed(**options)


def test_empty_sources_give_nothing() -> None:
    assert list(blend({"a": []}, rng=random.Random(0), shares={"a": 1}, size=5, allow_repeats=True)) == []
    assert list(blend({"a": []}, rng=random.Random(0))) == []
