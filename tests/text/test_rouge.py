from __future__ import annotations

import importlib.util
import json
import os
import random
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from datagen.errors import ConfigError
from datagen.text.engine import Engine
from datagen.text.lcs import f_measure, rouge_l
from datagen.text.rouge import NoveltyPool, tokenize

rouge_scorer = pytest.importorskip("rouge_score.rouge_scorer", reason="the reference is in the extra 'all'")
reference = rouge_scorer.RougeScorer(["rougeL"], use_stemmer=False)

SEEDS = Path(__file__).parents[2] / "seeds/tasks.jsonl"
ENGINES: list[Engine] = ["portable", *(["numba"] if importlib.util.find_spec("numba") else [])]

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


@pytest.mark.parametrize("engine", ENGINES)
def test_float_ties_fall_as_in_the_reference(engine: Engine) -> None:
    ties = [(n, m) for n in range(1, 80) for m in range(n, 80) if (7 * (n + m)) % 20 == 0 and 7 * (n + m) // 20 <= n]
    for n, m in ties:
        lcs = 7 * (n + m) // 20
        one = [f"w{i}" for i in range(n)]
        other = one[:lcs] + [f"x{i}" for i in range(m - lcs)]
        pool = NoveltyPool(0.7, engine)
        pool.add(other)
        near = pool.nearest(one)
        assert (near is not None) == (score(" ".join(one), " ".join(other)) > 0.7)
        assert [f for _, f in pool.neighbours(one)] in ([], [f_measure(lcs, n, m)])


@given(st.text() | st.text(st.sampled_from("aZ09 _ÀİKſ²Ⅷ①\x00\ud800😀文")))
def test_tokens_are_runs_of_ascii_letters_and_digits_in_lower_case(text: str) -> None:
    assert tokenize(text) == re.findall("[a-z0-9]+", text.lower())


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("threshold", [0.1, 0.5, 0.7, 0.95, 1.0])
@settings(max_examples=30)
@given(texts=st.lists(_WORDS, max_size=12))
def test_the_pool_finds_what_all_pairs_find(engine: Engine, threshold: float, texts: list[str]) -> None:
    pool = NoveltyPool(threshold, engine)
    for at, text in enumerate(texts):
        scores = [score(earlier, text) for earlier in texts[:at]]
        best = max(scores, default=0.0)
        assert pool.nearest(tokenize(text)) == ((scores.index(best), best) if best > threshold else None)
        assert pool.neighbours(tokenize(text)) == [(i, f) for i, f in enumerate(scores) if f >= threshold]
        assert pool.closest(tokenize(text)) == ((scores.index(best), best) if best else None)
        assert pool.add(tokenize(text)) == at


def hostile(rng: random.Random, rows: int) -> list[str]:
    """Empty, of one token, 2,000 tokens, repeated tokens, other scripts, one template, copies with few changes."""
    texts = ["", "a", "a a a", "写一首诗", "😀 😀", " ".join(map(str, range(2000)))]
    letters, template = "abcdefgh", [f"t{i}" for i in range(120)]
    while len(texts) < rows:
        n = rng.choice([1, 2, 7, 10, 13, 63, 64, 65, 128, 129, 300])
        draw = rng.random()
        if draw < 0.3:
            text = " ".join(rng.choices(letters, k=n))
        elif draw < 0.4:
            text = " ".join(rng.choice(letters) + " 文 😀" for _ in range(n))
        elif draw < 0.6:
            text = " ".join(f"s{rng.randrange(50)}" if rng.random() < 0.36 else word for word in template)
        elif draw < 0.75:
            lcs, length = rng.choice([(7, 7), (7, 10), (7, 13), (14, 20), (14, 26)])
            text = " ".join([f"c{i}" for i in range(lcs)] + [f"u{rng.random()}" for _ in range(length - lcs)])
            text = text.replace(".", "")
        elif draw < 0.78:
            text = " ".join(f"{rng.choice(letters)}{rng.randrange(99)}" for _ in range(2000))
        else:
            words = rng.choice(texts).split()
            for _ in range(rng.randrange(1 + len(words) // 3)):
                words[rng.randrange(len(words))] = rng.choice(letters)
            text = " ".join(words)
        texts.append(text)
    return texts


def compare(texts: list[str], engine: Engine, threshold: float) -> None:
    """Decisions, nearest and neighbours against all pairs; LCS by rapidfuzz, which is tested against the reference."""
    tokens = [tokenize(text) for text in texts]
    pool, kept = NoveltyPool(threshold, engine), list[list[str]]()
    for at in range(0, len(tokens), 50):
        for one, near in zip(tokens[at : at + 50], pool.admit(tokens[at : at + 50]), strict=True):
            scores = [rouge_l(earlier, one) for earlier in kept]
            best = max(scores, default=0.0)
            assert near == ((scores.index(best), best) if best > threshold else None)
            kept += [one] if near is None else []
        assert len(pool) == len(kept)
    for one in tokens[::9]:
        scores = [rouge_l(earlier, one) for earlier in kept]
        assert pool.neighbours(one) == [(i, f) for i, f in enumerate(scores) if f >= threshold]


@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("threshold", [0.3, 0.7])
def test_hostile_texts_are_judged_as_by_all_pairs(engine: Engine, threshold: float) -> None:
    compare(hostile(random.Random(0), 200), engine, threshold)


def test_the_hostile_texts_pass_through_every_part_of_the_search() -> None:
    tokens = [tokenize(text) for text in hostile(random.Random(0), 200)]
    assert {len(one) > 64 for one in tokens} == {True, False}
    scores = [rouge_l(one, other) for at, one in enumerate(tokens) for other in tokens[:at]]
    assert scores.count(0.7) > 3
    assert any(0.7 < f < 0.7 + 1e-9 for f in scores)


@pytest.mark.parametrize("engine", ENGINES)
def test_long_texts_with_few_words_are_compared_exactly(engine: Engine) -> None:
    rng = random.Random(0)
    texts = [[rng.choice("abcdefgh") for _ in range(rng.choice([1, 300, 500, 2000]))] for _ in range(30)]
    pool = NoveltyPool(0.7, engine)
    for at, text in enumerate(texts):
        scores = [rouge_l(earlier, text) for earlier in texts[:at]]
        assert pool.neighbours(text) == [(i, f) for i, f in enumerate(scores) if f >= 0.7]
        pool.add(text)


@pytest.mark.parametrize("engine", ENGINES)
def test_a_text_as_long_as_a_book_is_found_again(engine: Engine) -> None:
    book = [f"w{at % 7000}" for at in range(70_000)]
    pool = NoveltyPool(0.7, engine)
    for tokens in (["w1"], book, book[:200]):
        pool.add(tokens)
    assert pool.nearest(book[:60_000]) == (1, f_measure(60_000, 60_000, 70_000))


def test_a_pool_that_grows_large_changes_the_engine_and_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("datagen.text.rouge.SMALL", 40)
    tokens = [tokenize(text) for text in hostile(random.Random(1), 90)]
    pool, small = NoveltyPool(0.7), NoveltyPool(0.7, "portable")
    for one in tokens:
        assert pool.neighbours(one) == small.neighbours(one)
        assert pool.add(one) == small.add(one)
    assert pool.engine == ("numba" if len(ENGINES) == 2 else "rapidfuzz")


def test_more_words_than_unicode_has_characters_stay_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("datagen.text.rouge_rapidfuzz._CHARACTERS", 4)
    pool = NoveltyPool(0.5, "portable")
    for text in ("a b", "b c d", "d e f g", "e f g h"):
        pool.add(text.split())
    assert pool.nearest(["e", "f", "g", "h"]) == (3, 1.0)
    assert pool.nearest(["b", "c"]) == (1, 0.8)


@pytest.mark.parametrize("threshold", [0, -1, 1.5])
def test_an_impossible_threshold_is_refused(threshold: float) -> None:
    with pytest.raises(ConfigError, match="above 0 and at most 1"):
        NoveltyPool(threshold)


@pytest.mark.slow
@pytest.mark.skipif("DATAGEN_TEST_DATA" not in os.environ, reason="set DATAGEN_TEST_DATA to the data folder")
@pytest.mark.parametrize("engine", ENGINES)
def test_real_rows_are_judged_as_by_the_reference(engine: Engine) -> None:
    path = Path(os.environ["DATAGEN_TEST_DATA"], "pools/stream.json")
    texts: list[str] = json.loads(path.read_text())[:2000]
    pool, kept = NoveltyPool(0.7, engine), list[str]()
    for text, near in zip(texts, pool.admit([tokenize(text) for text in texts]), strict=True):
        scores = [score(earlier, text) for earlier in kept[-300:]]
        before = len(kept) - len(scores)
        assert near is not None or max(scores, default=0.0) <= 0.7
        if near is None:
            kept.append(text)
        else:
            assert near[1] == score(kept[near[0]], text) >= max(scores, default=0.0)
            assert near[0] < before or scores.index(near[1]) == near[0] - before


def like_real(rng: random.Random, rows: int) -> list[str]:
    """The seed tasks, and what the benchmark's stream is made of: splices, substitutions, rotations, small edits."""
    base = [json.loads(line)["instruction"] for line in SEEDS.read_text().splitlines()]
    texts, vocabulary = list(base), " ".join(base).split()
    while len(texts) < rows:
        words, draw = rng.choice(base).split(), rng.random()
        if draw < 0.4:
            other = rng.choice(base).split()
            words = words[: rng.randrange(len(words) + 1)] + other[rng.randrange(len(other) + 1) :]
        elif draw < 0.8:
            share = rng.uniform(0, 0.8)
            words = [rng.choice(vocabulary) if rng.random() < share else word for word in words]
        elif draw < 0.9:
            turn = rng.randrange(len(words))
            words = words[turn:] + words[:turn]
        else:
            words.insert(rng.randrange(len(words)), rng.choice(("写一首诗", "😀", "please", "é")))
        texts.append(" ".join(words))
    rng.shuffle(texts)
    return texts


class AllPairs:
    """F with everything kept, by rapidfuzz over all pairs and the reference's expression."""

    def __init__(self) -> None:
        self._ids: dict[str, int] = {}
        self._packed: list[str] = []
        self._lengths: list[int] = []

    def scores(self, tokens: list[str]) -> Any:
        import numpy as np
        from rapidfuzz import process
        from rapidfuzz.distance import LCSseq

        if not self._packed or not tokens:
            return np.zeros(len(self._packed))
        lcs = process.cdist([self._pack(tokens)], self._packed, scorer=LCSseq.similarity)[0].astype(float)
        precision, recall = lcs / len(tokens), lcs / np.maximum(self._lengths, 1)
        with np.errstate(invalid="ignore"):
            return np.where(lcs > 0, 2 * precision * recall / (precision + recall), 0.0)

    def keep(self, tokens: list[str]) -> None:
        self._packed.append(self._pack(tokens))
        self._lengths.append(len(tokens))

    def _pack(self, tokens: list[str]) -> str:
        return "".join(chr(self._ids.setdefault(token, len(self._ids)) + 0xE000) for token in tokens)


@pytest.mark.slow
@pytest.mark.parametrize("engine", ENGINES)
@pytest.mark.parametrize("make", [like_real, hostile])
def test_ten_thousand_rows_are_judged_as_by_the_reference(make: Callable[..., list[str]], engine: Engine) -> None:
    np = pytest.importorskip("numpy")
    texts = make(random.Random(0), 10_000)
    lists = [tokenize(text) for text in texts]
    pool, truth, kept = NoveltyPool(0.7, engine), AllPairs(), list[int]()
    ties = pairs = 0
    for at, one in enumerate(lists):
        scores = truth.scores(one)
        near = np.flatnonzero(scores >= 0.7)
        if at % 4 == 0:
            assert pool.neighbours(one) == [(int(i), float(scores[i])) for i in near]
        best = int(scores.argmax()) if len(scores) else 0
        novel = not len(near) or scores[best] <= 0.7
        assert pool.admit([one]) == [None if novel else (best, float(scores[best]))]
        for i in near[:3].tolist():
            if len(one) + len(lists[kept[i]]) < 200:
                pairs, ties = pairs + 1, ties + (abs(scores[i] - 0.7) < 1e-9)
                assert scores[i] == score(texts[kept[i]], texts[at])
        if novel:
            truth.keep(one)
            kept.append(at)
    assert pairs > 1000
    assert ties > 10
