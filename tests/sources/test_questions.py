from __future__ import annotations

from datagen import assets
from datagen.sources.jsonl import jsonl
from datagen.text.rouge import NoveltyPool, tokenize


def test_the_seed_questions_are_sixty_on_several_topics_and_no_two_alike() -> None:
    records = list(jsonl(path=assets.folder("seeds") / "questions.jsonl"))
    assert len(records) >= 60
    assert len({record.labels["topic"] for record in records}) >= 6
    pool = NoveltyPool(0.7)
    for record in records:
        tokens = tokenize(record.instruction)
        assert pool.nearest(tokens) is None
        pool.add(tokens)
        assert record.instruction.endswith("?")
        assert not record.answers
