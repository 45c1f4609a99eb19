"""What is dropped, with which evidence, and what the run is told; how runs are found is tested in ``test_overlap``."""

from __future__ import annotations

import pytest

from datagen import findings
from datagen.errors import ConfigError
from datagen.filters.decontaminate import decontaminate
from datagen.plugins import load_stage
from datagen.record import Record, instruction


def rows(*texts: str) -> list[Record]:
    return [instruction(text) for text in texts]


def reasons(found: list[Record]) -> list[str]:
    return [record.dropped.reason.partition(":")[2] if record.dropped else "" for record in found]


def test_coverage_asks_for_more_than_a_share_of_the_item() -> None:
    item = "a b c d e f g h i j k l m n o p"
    given = rows("a b c d e f g h", "a b c d e f g h i", "h i j k l m n o p", "a b c d e f g h x i j k l m n o p", "q")
    found = list(decontaminate(given, against=rows(item), ngram=8, coverage=0.5))
    assert reasons(found) == ["", "ngram", "ngram", "ngram", ""]
    assert [r.dropped.evidence["coverage"] for r in found if r.dropped] == [9 / 16, 9 / 16, 1.0]
    assert reasons(list(decontaminate(given, against=rows(item), ngram=8))) == ["ngram"] * 4 + [""]


def test_the_evidence_names_benchmark_item_and_match() -> None:
    item = "What is the capital of Peru?"
    found = list(decontaminate(rows(f"Tell me, {item}"), against={"other": rows("x"), "geo": rows("y", item)}))
    assert found[0].dropped is not None
    assert found[0].dropped.evidence == {
        "benchmark": "geo",
        "item": item,
        "number": 1,
        "matched": "what is the capital of peru",
        "coverage": 1.0,
    }


def test_items_without_a_benchmarks_name_go_by_their_source() -> None:
    item = instruction("Sort these!", source="short")
    found = list(decontaminate(rows("sort these"), against=[item]))
    assert found[0].dropped
    assert found[0].dropped.evidence["benchmark"] == "short"


def test_the_run_is_told_rows_and_items_by_benchmark_and_method() -> None:
    geo = rows("What is the capital of Peru?", "What is the capital of Chad?", "What is the longest river of Asia?")
    given = rows("So what is the capital of Peru?", "Now, what is the capital of Peru?", "Sort", "else")
    with findings.collecting() as told:
        list(decontaminate(given, against={"geo": geo, "short": rows("Sort:"), "none": rows("Nothing of this")}))
    assert told == {
        "geo": {"items": 3, "items hit": 1, "rows dropped": 2, "ngram": 2, "same_prompt": 0},
        "short": {"items": 1, "items hit": 1, "rows dropped": 1, "ngram": 0, "same_prompt": 1},
        "none": {"items": 1, "items hit": 0, "rows dropped": 0, "ngram": 0, "same_prompt": 0},
    }


def test_rouge_finds_what_was_changed_in_the_middle() -> None:
    item = "How many apples does Tom have after he gives three to Ann?"
    given = rows("How many pears does Tom have once he gives three to Ann?", "How many days has a week?")
    assert reasons(list(decontaminate(given, against=rows(item)))) == ["", ""]
    found = list(decontaminate(given, against=rows(item), rouge=0.7))
    assert reasons(found) == ["similar", ""]
    assert found[0].dropped
    assert found[0].dropped.evidence["similarity"] == pytest.approx(10 / 12)


def test_answers_can_be_looked_at() -> None:
    leak = instruction("Quote something.", "What is the capital of Peru?")
    item = instruction("What is the capital of Peru?", "Lima")
    assert reasons(list(decontaminate([leak], against=[item]))) == [""]
    assert reasons(list(decontaminate([leak], against=[item], scope="all"))) == ["ngram"]


@pytest.mark.parametrize(("key", "value"), [("ngram", 0), ("coverage", 1.0), ("coverage", -0.1), ("rouge", 2.0)])
def test_impossible_settings_are_refused_before_any_work(key: str, value: float) -> None:
    with pytest.raises(ConfigError):
        load_stage("filters.decontaminate").check({"ngram": 13, "coverage": 0.0, "rouge": None, key: value})
