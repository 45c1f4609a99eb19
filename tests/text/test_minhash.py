"""MinHash against exact search: nothing found that is not there, and nearly everything that is."""

from __future__ import annotations

import importlib.util
import random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from datagen.errors import ConfigError
from datagen.text.engine import Engine
from datagen.text.mapped_file import MappedFile
from datagen.text.minhash import MOST, bands_and_rows, minhash_pool
from datagen.text.ngrams import Unit, ngrams

ENGINES: list[Engine] = ["portable", *(["numba"] if importlib.util.find_spec("numba") else [])]
_TEXTS = st.lists(
    st.lists(st.sampled_from(["a", "b", "c", "D", "the", "写", "é"]), max_size=25).map(" ".join) | st.text(max_size=60),
    max_size=12,
)


def planted(rng: random.Random, rows: int) -> list[str]:
    """Rows of 60 words, every other a copy of an earlier one with up to three words changed."""
    texts: list[str] = []
    for at in range(rows):
        if at % 2:
            words = rng.choice(texts).split()
            for _ in range(rng.randrange(4)):
                words[rng.randrange(len(words))] = f"n{rng.random()}".replace(".", "")
        else:
            words = [f"w{rng.randrange(5000)}" for _ in range(60)]
        texts.append(" ".join(words))
    return texts


def similarity(one: str, other: str, unit: Unit = "word", size: int = 5) -> float:
    a, b = ngrams(one, unit, size), ngrams(other, unit, size)
    return len(a & b) / len(a | b)


@pytest.mark.parametrize("engine", ENGINES)
def test_what_is_found_is_as_similar_as_it_says(engine: Engine) -> None:
    texts, kept = planted(random.Random(0), 600), list[str]()
    pool, found = minhash_pool(0.7, "word", 5, engine), 0
    for text in texts:
        (near,) = pool.admit([text])
        if near is None:
            kept.append(text)
            continue
        found += 1
        assert near[1] == similarity(text, kept[near[0]]) >= 0.7
    assert found > 100


@pytest.mark.parametrize(("threshold", "size", "shared"), [(0.5, 84, 56), (0.7, 85, 70), (0.9, 95, 90)])
def test_of_pairs_at_the_threshold_99_of_100_are_found(threshold: float, size: int, shared: int) -> None:
    pairs = []
    for at in range(2000):
        words = [f"w{at}n{number}" for number in range(2 * size - shared)]
        pairs.append((" ".join(words[:size]), " ".join(words[size - shared :])))
    assert similarity(*pairs[0], size=1) == threshold
    pool = minhash_pool(threshold, "word", 1, ENGINES[-1])
    pool.fill([one for one, _ in pairs])
    found = pool.admit([other for _, other in pairs])
    assert sum(near == (at, threshold) for at, near in enumerate(found)) > 0.985 * len(pairs)


@pytest.mark.skipif(len(ENGINES) < 2, reason="numba is in the extra 'fast'")
@pytest.mark.parametrize("unit", ["word", "character"])
@pytest.mark.parametrize(("threshold", "size"), [(0.1, 1), (0.5, 2), (0.7, 5), (1.0, 3)])
@settings(max_examples=15)
@given(texts=_TEXTS)
@example(texts=["", " ", "\ud800", "?!", "A b", "a  B", "a b c d e f", "\u0130 K ﬀ", "😀 😀"])
def test_the_engines_give_the_same_answers(unit: Unit, threshold: float, size: int, texts: list[str]) -> None:
    portable, numba = (minhash_pool(threshold, unit, size, engine) for engine in ENGINES)
    assert portable.admit(texts) == numba.admit(texts)


@pytest.mark.parametrize("engine", ENGINES)
def test_answers_stay_while_tables_grow_and_do_not_depend_on_blocks(engine: Engine) -> None:
    texts = planted(random.Random(2), 2600)
    pools = [minhash_pool(0.7, "word", 5, one) for one in (engine, ENGINES[-1])]
    at_once = pools[0].admit(texts)
    assert [near for at in range(0, len(texts), 7) for near in pools[1].admit(texts[at : at + 7])] == at_once
    assert 1024 < at_once.count(None) < 2400
    stayed = [text for text, near in zip(texts, at_once, strict=True) if near is None]
    assert [near and near[0] for near in pools[0].admit(stayed)] == list(range(len(stayed)))


def test_the_formula_chooses_bands_and_rows() -> None:
    assert bands_and_rows(0.7) == (17, 4)
    for threshold in (0.05, 0.3, 0.5, 0.7, 0.9, 0.99, 1.0):
        bands, rows = bands_and_rows(threshold)
        assert bands * rows <= MOST
        assert 1 - (1 - threshold**rows) ** bands >= 0.99
    with pytest.raises(ConfigError, match="use search: exact"):
        bands_and_rows(0.01)


def test_a_mapped_file_keeps_what_was_written_as_it_grows() -> None:
    file = MappedFile()
    file.bytes[:3] = b"abc"
    assert file.make_room(2**26 + 1)
    file.bytes[2**26 : 2**26 + 1] = b"z"
    assert not file.make_room(2**26)
    assert (file.bytes[:3], file.bytes[2**26 : 2**26 + 1]) == (b"abc", b"z")
