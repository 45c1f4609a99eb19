from __future__ import annotations

import importlib.util
import random
import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from datagen.errors import ConfigError
from datagen.text.engine import Engine
from datagen.text.jaccard import jaccard_pool
from datagen.text.ngrams import Unit, word_bytes
from datagen.text.words import UNSPACED

ENGINES: list[Engine] = ["portable", *(["numba"] if importlib.util.find_spec("numba") else [])]
_WORDS = st.lists(st.sampled_from(["a", "b", "c", "D", "the", "+", "写", "é"]), max_size=25).map(" ".join)
_TEXTS = st.lists(_WORDS | st.text(max_size=60), max_size=12)


def shingles(text: str, unit: Unit, size: int) -> set[tuple[str, ...]]:
    """Straight from the definition."""
    tokens = (
        [word.decode("utf-8", "surrogatepass") for word in word_bytes(text).split()]
        if unit == "word"
        else list(" ".join(text.casefold().split()))
    )
    if 0 < len(tokens) < size:
        return {tuple(tokens)}
    return set(zip(*(tokens[at:] for at in range(size)), strict=False))


def jaccard(one: set[tuple[str, ...]], other: set[tuple[str, ...]]) -> float:
    return len(one & other) / len(one | other) if one and other else 0.0


def compare(texts: list[str], engine: Engine, threshold: float, unit: Unit, size: int) -> int:
    """Every decision, neighbour and similarity against all pairs; how many were dropped."""
    pool, kept = jaccard_pool(threshold, unit, size, engine), list[set[tuple[str, ...]]]()
    for at in range(0, len(texts), 7):
        block = texts[at : at + 7]
        for text, near in zip(block, pool.admit(block), strict=True):
            found = shingles(text, unit, size)
            scores = [jaccard(found, earlier) for earlier in kept]
            best = max(scores, default=0.0)
            assert near == ((scores.index(best), best) if best >= threshold else None)
            kept += [found] if near is None else []
    return len(texts) - len(kept)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("unit", ["word", "character"])
@pytest.mark.parametrize(("threshold", "size"), [(0.1, 1), (0.5, 2), (0.7, 5), (1.0, 3)])
@settings(max_examples=30)
@given(texts=_TEXTS)
@example(texts=["", " ", "\ud800", "?!", "A b", "a  B", "a b c d e f", "\u0130 K ﬀ", "😀 😀"])
def test_decisions_are_those_of_all_pairs(
    engine: Engine, unit: Unit, threshold: float, size: int, texts: list[str]
) -> None:
    compare(texts, engine, threshold, unit, size)


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("unit", ["word", "character"])
def test_edited_copies_are_judged_as_by_all_pairs(engine: Engine, unit: Unit) -> None:
    rng = random.Random(0)
    vocabulary = [f"w{i}" for i in range(300)]
    template = rng.choices(vocabulary, k=80)
    texts = []
    for _ in range(300):
        draw = rng.random()
        base = template if draw < 0.3 else rng.choices(vocabulary, k=60) if draw < 0.5 or not texts else None
        words = list(base or rng.choice(texts).split())
        for _ in range(rng.choice([0, 1, 2, 3, 5, 8])):
            words[rng.randrange(len(words))] = rng.choice(vocabulary)
        texts.append(" ".join(words))
    assert 30 < compare(texts, engine, 0.7, unit, 5) < 270


def test_a_tie_with_the_threshold_is_a_duplicate() -> None:
    # 7 of 10 distinct words are shared
    one, other = "a b c d e f g h", "a b c d e f g i j"
    for engine in ENGINES:
        assert jaccard_pool(0.7, "word", 1, engine).admit([one, other]) == [None, (0, 0.7)]
        assert jaccard_pool(0.7000001, "word", 1, engine).admit([one, other]) == [None, None]


@given(st.text() | st.text(st.characters(max_codepoint=127)) | st.text(st.sampled_from("aZ_ '’“é写ไทย+#İßΣ\ud800٣")))
def test_words_are_runs_of_letters_digits_and_signs_or_unspaced_characters(text: str) -> None:
    word = rf"(?:[{re.escape('+=<>%/^#')}]|[^\W{UNSPACED}])+|[{UNSPACED}]"
    assert word_bytes(text).decode("utf-8", "surrogatepass").split() == re.findall(word, text.casefold())


def test_words_of_a_script_without_spaces_are_its_characters_and_signs_stay() -> None:
    assert word_bytes("写一首 poem, C# 3+4").decode().split() == ["写", "一", "首", "poem", "c#", "3+4"]


@pytest.mark.parametrize(
    ("threshold", "size", "why"), [(0, 5, "above 0"), (1.1, 5, "at most 1"), (0.5, 0, "at least 1")]
)
def test_impossible_settings_are_refused(threshold: float, size: int, why: str) -> None:
    with pytest.raises(ConfigError, match=why):
        jaccard_pool(threshold, "word", size)
