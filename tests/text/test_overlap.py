"""Runs of words shared with items: two engines, and the plainest reference of sets of tuples."""

from __future__ import annotations

import importlib.util
import random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from datagen.text.engine import Engine
from datagen.text.overlap import Match, overlap
from datagen.text.words import words

ENGINES: list[Engine] = ["portable", *(["numba"] if importlib.util.find_spec("numba") else [])]  # type: ignore[list-item]
with_each_engine = pytest.mark.parametrize("engine", ENGINES)

_PARTS = st.sampled_from(
    [
        "3", ".", ",", "5kg", "3.5", "10:30", "1,000", "k", "K", "ab", "Ab", "#",
        "!", "!=", "3!", "c#", "=", "-", "a-b", "5-3", "- 3", "+", "*", "_", "a_b", " ", "  ", "\n", "\0",
        "é", "写", "ท", "ั", "٣", "²", "İ", "ß", "’", "—", "’s", "😀", "\ud800",
    ]
)  # fmt: skip
_TEXTS = st.lists(_PARTS, max_size=14).map("".join)


def grams(text: str, n: int) -> set[tuple[str, ...]]:
    tokens = words(text)
    return {tuple(tokens[at : at + n]) for at in range(len(tokens) - n + 1)}


def plainly(rows: list[str], items: list[str], n: int) -> list[bool]:
    """Which rows share an n-gram, or a whole short item, by sets of tuples."""
    known = {gram for item in items if len(words(item)) >= 5 for gram in grams(item, min(n, len(words(item))))}
    sizes = {len(gram) for gram in known}
    return [any(grams(row, size) & known for size in sizes) for row in rows]


@pytest.mark.skipif("numba" not in ENGINES, reason="needs numba")
@settings(max_examples=400, deadline=None)
@given(
    rows=st.lists(_TEXTS, max_size=4),
    items=st.lists(_TEXTS, max_size=4),
    n=st.sampled_from([1, 2, 5, 8]),
    coverage=st.sampled_from([0.0, 0.5]),
)
@example(rows=["a 3.5kg b"], items=["A 3.5 KG, b"], n=2, coverage=0.0)
@example(rows=["+ + + + + +"], items=["+ + + + +"], n=5, coverage=0.0)
@example(rows=["", "😀"], items=["😀", ""], n=5, coverage=0.0)
@example(rows=["3!=3! c# a-b 5-3 -3"], items=["3 != 3 ! c # a b 5 - 3 - 3"], n=1, coverage=0.5)
def test_machine_code_finds_what_python_finds(rows: list[str], items: list[str], n: int, coverage: float) -> None:
    found = overlap(items, n, coverage, "numba").matches(rows)
    assert found == overlap(items, n, coverage, "portable").matches(rows)


@with_each_engine
@pytest.mark.parametrize("n", [8, 13])
def test_every_planted_leak_is_found_and_nothing_else(engine: Engine, n: int) -> None:
    rng = random.Random(0)
    vocabulary = [f"w{i}" for i in range(5000)] + ["3.5", "+", "10:30am", "x=y", "naïve"]
    items = [" ".join(rng.choices(vocabulary, k=rng.choice([3, 6, 12, 20, 60]))) for _ in range(200)]
    rows = [" ".join(rng.choices(vocabulary, k=50)) for _ in range(300)]
    planted = rng.sample(range(len(rows)), 100)
    for at in planted:
        item = rng.choice([item for item in items if len(words(item)) >= 5])
        tokens = item.split()
        begin = rng.randrange(max(len(tokens) - n, 0) + 1)
        rows[at] = f"{rows[at]} {' '.join(tokens[begin : begin + n])} end"
    found = [match is not None for match in overlap(items, n, 0.0, engine).matches(rows)]
    assert found == plainly(rows, items, n)
    assert sum(found) == len(planted)


@with_each_engine
def test_the_item_covered_most_is_named_and_the_first_among_equals(engine: Engine) -> None:
    template = "if you follow these steps do you come back"
    items = [f"{template} take one step", f"{template} turn around twice", f"{template} turn around twice"]
    found = overlap(items, 5, 0.0, engine).matches([f"Well: {template}, turn around twice?", template])
    assert found == [
        Match(1, "if you follow these steps", 1.0, whole=False),
        Match(0, "if you follow these steps", 9 / 12, whole=False),
    ]


@with_each_engine
def test_short_items_must_be_the_whole_text_and_longer_ones_need_not(engine: Engine) -> None:
    items = ["Sort these four words", "Name the capital of Peru", "😀 😀"]
    rows = ["Please sort these four words", "sort: these four words!", "Now name the capital of Peru please", "😀  😀"]
    found = [match and (match.item, match.whole) for match in overlap(items, 13, 0.0, engine).matches(rows)]
    assert found == [None, (0, True), (1, False), (2, True)]


@with_each_engine
def test_nothing_is_found_without_items_or_texts(engine: Engine) -> None:
    assert overlap([], 13, 0.0, engine).matches(["anything at all", ""]) == [None, None]
    assert overlap(["what is this"], 13, 0.0, engine).matches([]) == []


@pytest.mark.skipif("numba" not in ENGINES, reason="needs numba")
@settings(max_examples=1000, deadline=None)
@given(text=st.text("ab3_.,:!=#-+ \n\0", max_size=30))
def test_the_kernel_cuts_ascii_into_the_words_that_python_finds(text: str) -> None:
    import numpy as np

    from datagen.text import overlap_kernel as kernel

    def hashes(encoded: bytes, *, is_parted: bool) -> list[int]:
        out = np.empty(len(encoded), np.uint64)
        return out[: kernel.word_hashes(np.frombuffer(encoded, np.uint8), is_parted, out)].tolist()

    assert hashes(text.encode(), is_parted=False) == hashes("\0".join(words(text)).encode(), is_parted=True)
