from __future__ import annotations

from typing import Any

import pytest
from embedder import tiny_embedder

from datagen.errors import ConfigError
from datagen.filters.select_diverse import select_diverse
from datagen.record import Answer, Message, Record


def row(text: str, complexity: float | None = None, quality: float | None = None) -> Record:
    given = {"complexity": complexity, "quality": quality}
    scores = {name: score for name, score in given.items() if score is not None}
    return Record((Message("user", text),), (Answer("Yes.", scores=scores),))


DOG, CAT, ROME = "Reverse the words dog red seven.", "What is the plural of cat?", "What is the capital of Italy?"


def chosen(rows: list[Record], **options: Any) -> list[str | None]:
    found = list(select_diverse(iter(rows), **{"model": tiny_embedder(), "threshold": 0.99, **options}))
    assert [record.id for record in found] == [record.id for record in rows]
    return [record.dropped.reason.partition(":")[2] if record.dropped else None for record in found]


def test_the_greatest_products_stay_and_the_copy_of_a_better_row_gives_way() -> None:
    rows = [row(CAT, 1, 4), row(DOG, 2, 2.5), row(DOG, 3, 3), row(ROME, 4, 2)]
    assert chosen(rows, size=2) == ["surplus", "surplus", None, None]
    assert chosen(rows, size=3) == [None, "similar", None, None]
    assert chosen(rows) == [None, "similar", None, None]
    assert chosen(rows, size=1, by=("complexity",)) == ["surplus", "surplus", "surplus", None]


def test_what_was_passed_over_names_its_better_and_what_is_surplus_its_score() -> None:
    rows = [row(DOG, 3, 3), row(DOG, 2, 2), row(CAT, 1, 1), row(ROME, 1, 0.5)]
    found = list(select_diverse(rows, model=tiny_embedder(), threshold=0.99, size=2))
    assert found[1].dropped is not None
    assert found[1].dropped.evidence["first"] == rows[0].id
    assert found[1].dropped.evidence["similarity"] >= 0.99
    assert found[3].dropped is not None
    assert found[3].dropped.evidence == {"score": 0.5}


def test_a_row_that_lacks_a_score_is_not_ranked_by_a_guess() -> None:
    rows = [row(DOG, 3), row(CAT, 1, 1), Record((Message("user", ROME),))]
    assert chosen(rows, size=3) == ["no_score", None, "no_score"]
    assert chosen([rows[0]]) == ["no_score"]


@pytest.mark.parametrize(
    ("options", "what"), [({"size": 0}, "size: 0"), ({"by": ()}, "names the scores"), ({"threshold": 1.5}, "threshold")]
)
def test_settings_that_cannot_be_are_one_line(options: dict[str, Any], what: str) -> None:
    with pytest.raises(ConfigError, match=what):
        list(select_diverse([], model="m", **options))
