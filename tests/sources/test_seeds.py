from __future__ import annotations

from collections import Counter
from pathlib import Path

import orjson
import pytest

from datagen import assets
from datagen.sources.jsonl import jsonl
from datagen.text.rouge import NoveltyPool, tokenize
from datagen.text.tasks import ALPACA_BLOCKED, flaw

SEEDS = assets.folder("seeds") / "tasks.jsonl"
CODE = assets.folder("seeds") / "code_tasks.jsonl"


def test_the_shipped_seed_tasks_are_many_and_follow_the_rules_they_teach() -> None:
    rows = [orjson.loads(line) for line in SEEDS.read_bytes().splitlines()]
    assert len(rows) >= 200
    assert not [row["instruction"] for row in rows if flaw(row["instruction"], 3, 150)]
    assert max(Counter(row["name"] for row in rows).values()) == 1
    with_input = sum(bool(row["instances"][0]["input"]) for row in rows)
    assert 0.5 <= with_input / len(rows) < 0.7


# InstructGPT's use cases (arXiv 2203.02155, table 1), in percent.
USE_CASES = {
    "generation": 45.6,
    "open_qa": 12.4,
    "brainstorm": 11.2,
    "chat": 8.4,
    "rewrite": 6.6,
    "summary": 4.2,
    "classification": 3.5,
    "other": 3.5,
    "closed_qa": 2.6,
    "extraction": 1.9,
}


def test_the_shipped_seed_tasks_have_instruct_gpts_mix_of_use_cases_and_enough_classification_tasks() -> None:
    rows = [orjson.loads(line) for line in SEEDS.read_bytes().splitlines()]
    shares = {use: 100 * count / len(rows) for use, count in Counter(row["use_case"] for row in rows).items()}
    assert shares == pytest.approx(USE_CASES, abs=1)
    assert sum(row["is_classification"] for row in rows) >= 25


def test_the_shipped_code_tasks_follow_the_rules_of_the_style_that_shows_them() -> None:
    rows = [orjson.loads(line) for line in CODE.read_bytes().splitlines()]
    assert len(rows) >= 20
    assert not [row["instruction"] for row in rows if flaw(row["instruction"], 4, 150, ALPACA_BLOCKED)]
    assert max(Counter(row["name"] for row in rows).values()) == 1


@pytest.mark.parametrize("path", [SEEDS, CODE], ids=lambda path: path.stem)
def test_no_two_shipped_seed_tasks_are_alike(path: Path) -> None:
    pool = NoveltyPool(0.7)
    for record in jsonl(path=path):
        tokens = tokenize(record.labels["instruction"])
        assert pool.nearest(tokens) is None
        pool.add(tokens)
        assert record.answer
        assert not record.dropped
