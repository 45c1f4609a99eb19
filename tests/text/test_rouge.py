from __future__ import annotations

import random

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from datagen.errors import ConfigError
from datagen.text.rouge import NoveltyPool, f_measure, rouge_l, tokenize

rouge_scorer = pytest.importorskip("rouge_score.rouge_scorer", reason="the reference is in the extra 'all'")
reference = rouge_scorer.RougeScorer(["rougeL"], use_stemmer=False)

_WORDS = st.lists(st.sampled_from(["a", "b", "c", "d", "the", "of", "one1", "Zebra"]), max_size=25).map(" ".join)
_TEXTS = _WORDS | st.text(max_size=60)


def score(one: str, other: str) -> float:
    value: float = reference.score(one, other)["rougeL"].fmeasure
    return value


@given(_TEXTS, _TEXTS)
@example("", "")
@example("İstanbul K", "i stanbul k")
@example("你好 world 😀", "world")
def test_rouge_l_equals_the_reference(one: str, other: str) -> None:
    assert rouge_l(tokenize(one), tokenize(other)) == score(one, other)


def test_float_ties_fall_as_in_the_reference() -> None:
    ties = [(n, m) for n in range(1, 80) for m in range(n, 80) if (7 * (n + m)) % 20 == 0 and 7 * (n + m) // 20 <= n]
    for n, m in ties:
        lcs = 7 * (n + m) // 20
        one = [f"w{i}" for i in range(n)]
        other = one[:lcs] + [f"x{i}" for i in range(m - lcs)]
        pool = NoveltyPool(0.7)
        pool.add(other)
        near = pool.nearest(one)
        assert (near is not None) == (score(" ".join(one), " ".join(other)) > 0.7)
        assert [f for _, f in pool.neighbours(one)] in ([], [f_measure(lcs, n, m)])


@pytest.mark.parametrize("threshold", [0.1, 0.5, 0.7, 0.95, 1.0])
@settings(max_examples=30)
@given(texts=st.lists(_WORDS, max_size=12))
def test_the_pool_finds_what_all_pairs_find(threshold: float, texts: list[str]) -> None:
    pool = NoveltyPool(threshold)
    for at, text in enumerate(texts):
        scores = [score(earlier, text) for earlier in texts[:at]]
        best = max(scores, default=0.0)
        assert pool.nearest(tokenize(text)) == ((scores.index(best), best) if best > threshold else None)
        assert pool.neighbours(tokenize(text)) == [(i, f) for i, f in enumerate(scores) if f >= threshold]
        assert pool.closest(tokenize(text)) == ((scores.index(best), best) if best else None)
        pool.add(tokenize(text))


def test_long_texts_with_few_words_are_compared_exactly() -> None:
    rng = random.Random(0)
    texts = [[rng.choice("abcdefgh") for _ in range(rng.choice([1, 300, 500, 2000]))] for _ in range(30)]
    pool = NoveltyPool(0.7)
    for at, text in enumerate(texts):
        scores = [rouge_l(earlier, text) for earlier in texts[:at]]
        assert pool.neighbours(text) == [(i, f) for i, f in enumerate(scores) if f >= 0.7]
        pool.add(text)


def test_more_words_than_unicode_has_characters_stay_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("datagen.text.rouge._CHARACTERS", 4)
    pool = NoveltyPool(0.5)
    for text in ("a b", "b c d", "d e f g", "e f g h"):
        pool.add(text.split())
    assert pool.nearest(["e", "f", "g", "h"]) == (3, 1.0)
    assert pool.nearest(["b", "c"]) == (1, 0.8)


@pytest.mark.parametrize("threshold", [0, -1, 1.5])
def test_an_impossible_threshold_is_refused(threshold: float) -> None:
    with pytest.raises(ConfigError, match="above 0 and at most 1"):
        NoveltyPool(threshold)
