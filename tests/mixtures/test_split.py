from __future__ import annotations

import itertools
import random

import pytest

from datagen.errors import ConfigError
from datagen.mixtures.split import clustered, split
from datagen.plugins import load_stage
from datagen.record import instruction
from datagen.text.jaccard import PythonIndex

TEXTS = [f"{a} {b} {c} {d}" for a in "abcd" for b in "efgh" for c in "ijkl" for d in "mnop"]


def test_the_test_part_has_its_size_and_the_order_stays() -> None:
    records = [instruction(text) for text in TEXTS]
    found = list(split(records, test=0.25, rng=random.Random(0), threshold=None))
    assert [record.id for record in found] == [record.id for record in records]
    assert sum(record.labels["split"] == "test" for record in found) == 64
    assert sum(r.labels["split"] == "test" for r in split(records, test=10, rng=random.Random(0), threshold=None)) == 10


def test_near_duplicates_stay_together() -> None:
    texts = [
        f"{word} {' '.join(str(number * 7 + n) for n in range(7))} {tail}"
        for number, word in enumerate("abcdefgh")
        for tail in "xyz"
    ]
    for seed in range(5):
        found = [record.labels["split"] for record in split(map(instruction, texts), test=0.4, rng=random.Random(seed))]
        assert all(len(set(found[at : at + 3])) == 1 for at in range(0, len(found), 3))
        assert found.count("test") == 9


def test_clusters_chain_and_exact_twins_join_whatever_their_case() -> None:
    chain = ["a b c d e f g h i j", "a b c d e f g h x y", "a b c d e f z w x y", "q r s t", "Q R, S T!"]
    assert clustered(chain, 0.7) == [[0, 1, 2], [3, 4]]
    assert clustered(chain, None) == [[0], [1], [2], [3, 4]]


def test_near_duplicates_in_other_scripts_stay_together_too() -> None:
    assert clustered(["写一首关于春天的诗", "写一首关于春天的歌", "解释一下光合作用"], 0.7) == [[0, 1], [2]]


def test_planted_near_duplicates_never_straddle_the_parts() -> None:
    rng = random.Random(7)
    words = [f"w{n}" for n in range(400)]
    texts, families = [], []
    for family in range(40):
        text = rng.sample(words, 40)
        swapped = text[20:] + text[:20]  # halves moved: half of the longest common subsequence, nearly all 5-grams
        edited = [*text[:17], "changed", *text[18:]]
        for variant in (text, swapped, edited)[: 1 + family % 3]:
            texts.append(" ".join(variant))
            families.append(family)
    order = rng.sample(range(len(texts)), len(texts))

    def straddling(**options: float) -> set[int]:
        parts: dict[int, set[str]] = {}
        records = [instruction(texts[at]) for at in order]
        for at, record in zip(order, split(records, test=0.4, rng=random.Random(1), **options), strict=True):
            parts.setdefault(families[at], set()).add(record.labels["split"])
        return {family for family, found in parts.items() if len(found) > 1}

    assert straddling(), "by ROUGE-L alone, moved halves straddle"
    assert not straddling(jaccard=0.6)
    assert not straddling(threshold=0.4)


def test_ngram_neighbours_chain_whichever_comes_first() -> None:
    chain = ["a b c d e f g h", "c d e f g h i j", "e f g h i j k l", "x y z"]
    for order in itertools.permutations(range(4)):
        found = clustered([chain[at] for at in order], None, (), PythonIndex(0.3, "word", 2))
        assert sorted(len(cluster) for cluster in found) == [1, 3]


def test_rows_with_one_label_stay_together() -> None:
    records = [instruction(text, labels={"page": at // 4} if at < 200 else {}) for at, text in enumerate(TEXTS)]
    for seed in range(3):
        found = list(split(records, test=0.3, rng=random.Random(seed), threshold=None, together="page"))
        parts = [record.labels["split"] for record in found]
        assert all(len(set(parts[at : at + 4])) == 1 for at in range(0, 200, 4))
        assert len(set(parts[200:])) == 2
    with pytest.raises(ConfigError, match="no row has the label 'pages'"):
        list(split(records, rng=random.Random(0), together="pages"))


def test_one_big_cluster_is_trained_on_and_the_log_says_so(caplog: pytest.LogCaptureFixture) -> None:
    found = list(split([instruction("same")] * 9, test=3, rng=random.Random(0)))
    assert {record.labels["split"] for record in found} == {"train"}
    assert "0 of 3 test rows: near-duplicates form clusters of up to 9" in caplog.text


def test_the_same_seed_gives_the_same_split() -> None:
    def parts(seed: int) -> list[str]:
        return [r.labels["split"] for r in split(map(instruction, TEXTS), rng=random.Random(seed), threshold=None)]

    assert parts(0) == parts(0)
    assert parts(0) != parts(1)


def test_nothing_in_gives_nothing_out_and_odd_sizes_are_refused() -> None:
    assert list(split([], rng=random.Random(0))) == []
    with pytest.raises(ConfigError, match="neither a share"):
        list(split([], test=1.5, rng=random.Random(0)))
    with pytest.raises(ConfigError, match="neither a share"):
        load_stage("split").check({"test": float("inf"), "threshold": 0.7, "jaccard": None, "ngram": 5})
    with pytest.raises(ConfigError, match="Jaccard threshold must be above 0"):
        list(split([], jaccard=0, rng=random.Random(0)))
    with pytest.raises(ConfigError, match="above 0"):
        list(split([], threshold=0, rng=random.Random(0)))
