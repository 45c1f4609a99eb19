"""Decontamination against the plainest reference, with and without the machine code that screens."""

from __future__ import annotations

import importlib.util
import random
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from datagen.errors import ConfigError
from datagen.filters import decontaminate as module
from datagen.filters.decontaminate import decontaminate
from datagen.plugins import load_stage
from datagen.record import Record, encode, instruction
from datagen.text.words import words

SCREENED = [False, *([True] if importlib.util.find_spec("numba") else [])]
either_way = pytest.mark.parametrize("screened", SCREENED)

_PARTS = st.sampled_from(
    [
        "3",
        ".",
        ",",
        "5kg",
        "3.5",
        "k",
        "K",
        " ",
        "  ",
        "+",
        "!=",
        "-",
        "_",
        "é",
        "写",
        "ท",
        "ั",
        "٣",
        "²",
        "İ",
        "ß",
        "’",
        "😀",
        "\ud800",
    ]
)
_TEXTS = st.lists(_PARTS, max_size=14).map("".join)


def run(rows: list[str], items: list[str], *, screened: bool, **settings: Any) -> list[Record]:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(module, "numba_is_wanted", lambda engine: screened)
        return list(decontaminate(map(instruction, rows), against=list(map(instruction, items)), **settings))


def reasons(found: list[Record]) -> list[str]:
    return [record.dropped.reason.partition(":")[2] if record.dropped else "" for record in found]


def grams(text: str, n: int) -> set[tuple[str, ...]]:
    tokens = words(text)
    return {tuple(tokens[at : at + n]) for at in range(len(tokens) - n + 1)}


def plainly(rows: list[str], items: list[str], n: int) -> list[bool]:
    """Which rows share an n-gram, or a whole short item, by sets of tuples."""
    known = {gram for item in items if len(words(item)) >= 5 for gram in grams(item, min(n, len(words(item))))}
    sizes = {len(gram) for gram in known}
    return [any(grams(row, size) & known for size in sizes) for row in rows]


@either_way
@settings(max_examples=200, deadline=None)
@given(rows=st.lists(_TEXTS, max_size=4), items=st.lists(_TEXTS, max_size=4), n=st.sampled_from([1, 2, 5, 8]))
@example(rows=["a 3.5kg b"], items=["A 3.5 KG, b"], n=2)
@example(rows=["+ + + + + +"], items=["+ + + + +"], n=5)
@example(rows=["", "😀"], items=["😀", ""], n=5)
def test_the_screen_lets_nothing_slip(screened: bool, rows: list[str], items: list[str], n: int) -> None:
    found = run(rows, items, screened=screened, ngram=n)
    assert list(map(encode, found)) == list(map(encode, run(rows, items, screened=False, ngram=n)))


@either_way
@pytest.mark.parametrize("n", [8, 13])
def test_every_planted_leak_is_found_and_nothing_else(screened: bool, n: int) -> None:
    rng = random.Random(0)
    vocabulary = [f"w{i}" for i in range(5000)] + ["3.5", "+", "10:30am", "x=y"]
    items = [" ".join(rng.choices(vocabulary, k=rng.choice([3, 6, 12, 20, 60]))) for _ in range(200)]
    rows = [" ".join(rng.choices(vocabulary, k=50)) for _ in range(300)]
    planted = rng.sample(range(len(rows)), 100)
    for at in planted:
        item = rng.choice([item for item in items if len(words(item)) >= 5])
        tokens = item.split()
        begin = rng.randrange(max(len(tokens) - n, 0) + 1)
        rows[at] = f"{rows[at]} {' '.join(tokens[begin : begin + n])} end"
    found = [bool(reason) for reason in reasons(run(rows, items, screened=screened, ngram=n))]
    assert found == plainly(rows, items, n)
    assert sum(found) == len(planted)


@either_way
def test_coverage_asks_for_more_than_a_share_of_the_item(screened: bool) -> None:
    item = "a b c d e f g h i j k l m n o p"
    rows = ["a b c d e f g h", "a b c d e f g h i", "h i j k l m n o p", "a b c d e f g h x i j k l m n o p", "q"]
    found = run(rows, [item], screened=screened, ngram=8, coverage=0.5)
    assert reasons(found) == ["", "ngram", "ngram", "ngram", ""]
    assert [r.dropped.evidence["coverage"] for r in found if r.dropped] == [9 / 16, 9 / 16, 1.0]
    assert reasons(run(rows, [item], screened=screened, ngram=8)) == ["ngram"] * 4 + [""]


@either_way
def test_the_evidence_names_the_benchmark_and_the_log_counts_by_it(
    screened: bool, caplog: pytest.LogCaptureFixture
) -> None:
    items = [instruction("What is the capital of Peru?", source="geo"), instruction("Sort:", source="short")]
    rows = [instruction(text) for text in ("Tell me, what is the capital of Peru?", "sort", "Sort", "else")]
    with caplog.at_level("INFO", "datagen"):
        found = list(decontaminate(rows, against=items))
    assert [r.dropped.evidence["source"] for r in found if r.dropped] == ["geo", "short", "short"]
    assert "decontaminate: geo ngram 1, short same_prompt 2" in caplog.text


def test_answers_can_be_looked_at() -> None:
    leak = instruction("Quote something.", "What is the capital of Peru?")
    item = instruction("What is the capital of Peru?", "Lima")
    assert reasons(list(decontaminate([leak], against=[item]))) == [""]
    assert reasons(list(decontaminate([leak], against=[item], scope="all"))) == ["ngram"]


@pytest.mark.parametrize(("key", "value"), [("ngram", 0), ("coverage", 1.0), ("coverage", -0.1), ("rouge", 2.0)])
def test_impossible_settings_are_refused_before_any_work(key: str, value: float) -> None:
    with pytest.raises(ConfigError):
        load_stage("filters.decontaminate").check({"ngram": 13, "coverage": 0.0, "rouge": None, key: value})
