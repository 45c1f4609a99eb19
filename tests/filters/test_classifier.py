from __future__ import annotations

import random
from typing import Any

import msgspec
import pytest
from embedder import tiny_embedder

from datagen import findings
from datagen.errors import ConfigError
from datagen.filters.classifier import classifier
from datagen.record import Record, encode, instruction

pytest.importorskip("sklearn")
WORDS = ["plum", "dog", "seven", "river", "red", "Rome", "bread", "cloud"]


def rows(count: int, seed: int) -> list[Record]:
    """Answers that say "sure" are good; there is nothing else to learn."""
    rng = random.Random(seed)
    made = []
    for n in range(count):
        words = rng.sample(WORDS, 4)
        answer = " ".join([*words, "sure" if n % 2 else "maybe"])
        made.append(instruction(f"Say {n} of {seed}.", answer))
    return made


def graded(records: list[Record], scores: tuple[float, float] = (2.0, 5.0)) -> list[Record]:
    return [
        record.with_answers([record.answers[0].scored("accuracy", scores["sure" in record.answer])])
        for record in records
    ]


def ran(given: list[Record], **options: Any) -> tuple[list[Record], dict[str, Any]]:
    options = {"labels": graded(rows(60, 1)), "rng": random.Random(0), **options}
    with findings.collecting() as metrics:
        found = list(classifier(iter(given), **options))
    assert [record.id for record in found] == [record.id for record in given]
    assert msgspec.json.decode(msgspec.json.encode(metrics)) == metrics
    return found, metrics


@pytest.mark.parametrize("of", ["answer", "all"])
def test_what_tells_good_from_bad_in_the_sample_is_found_in_all_rows(of: str) -> None:
    found, metrics = ran([*rows(40, 2), instruction("No answer")], of=of)
    kept = [record for record in found if not record.dropped]
    assert {record.answer.rsplit(" ", 1)[1] for record in kept} == {"sure"}
    assert len(kept) == 20
    assert metrics["auc"] > 0.95
    assert metrics["accuracy"] > 0.9
    assert metrics["majority"] == 0.5
    assert metrics["labelled_rows"] == 60
    low = found[0].dropped
    assert low is not None
    assert low.reason == "classifier:low_score"
    assert low.evidence["min_score"] == 0.5
    assert low.evidence["score"] == found[0].answers[0].scores["classifier"] < 0.5
    assert found[-1].dropped is not None
    assert found[-1].dropped.reason == "classifier:no_answer"


def test_labels_that_mean_nothing_are_reported_as_no_better_than_chance() -> None:
    rng = random.Random(3)
    noise = [row.with_answers([row.answers[0].scored("accuracy", rng.choice([2.0, 5.0]))]) for row in rows(200, 1)]
    _, metrics = ran(rows(10, 2), labels=noise)
    assert 0.35 < metrics["auc"] < 0.65
    assert metrics["accuracy"] < 0.65


def test_the_best_share_can_be_asked_for_and_rows_without_a_label_train_nothing() -> None:
    labels = [*graded(rows(60, 1)), *rows(5, 4), instruction("Bare")]
    found, metrics = ran(rows(40, 2), labels=labels, keep_top=0.1)
    assert sum(record.dropped is None for record in found) == 4
    assert metrics["labelled_rows"] == 60


def test_embeddings_of_a_model_serve_as_well() -> None:
    _, metrics = ran(rows(10, 2), model=tiny_embedder(), labels=graded(rows(120, 1)))
    assert metrics["auc"] > 0.75


def test_the_same_seed_gives_the_same_bytes() -> None:
    runs = [ran(rows(30, 2))[0] for _ in range(2)]
    assert list(map(encode, runs[0])) == list(map(encode, runs[1]))


@pytest.mark.parametrize(
    ("options", "what"),
    [
        ({"labels": graded(rows(60, 1), (5.0, 5.0))}, "so that the bad ones stay"),
        ({"by": "quality"}, "0 rows have the score 'quality'"),
        ({"min_score": 2.0}, "no probability"),
        ({"min_score": 0.5, "keep_top": 0.5}, "give one of them"),
    ],
)
def test_labels_that_teach_nothing_and_settings_that_cannot_be_are_one_line(options: dict[str, Any], what: str) -> None:
    with pytest.raises(ConfigError, match=what):
        ran(rows(4, 2), **options)
