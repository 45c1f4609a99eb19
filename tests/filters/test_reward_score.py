from __future__ import annotations

import random
from typing import Any

import pytest
from rewarder import tiny_rewarder

from datagen import findings
from datagen.errors import ConfigError
from datagen.filters.reward_score import reward_score
from datagen.record import Answer, Record, encode, instruction

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")


@pytest.fixture
def reward_model() -> str:
    return tiny_rewarder()


def rows() -> list[Record]:
    plain = [instruction(f"Say {n} words.", " ".join(["plum"] * (n + 1))) for n in range(6)]
    several = instruction("Name a colour.").with_answers([Answer("red"), Answer("dog"), Answer("red and blue")])
    return [*plain, several, instruction("No answer")]


def ran(model: str, given: list[Record], **options: Any) -> list[Record]:
    found = list(reward_score(iter(given), model=model, rng=random.Random(0), device="cpu", **options))
    assert [record.id for record in found] == [record.id for record in given]
    return found


def reference(folder: str, question: str, answer: str) -> float:
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForSequenceClassification.from_pretrained(folder)
    turns = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
    with torch.no_grad():
        ids = tokenizer.apply_chat_template(turns, return_dict=True, return_tensors="pt")
        return float(model(**ids).logits.item())


def test_every_answer_gets_the_reward_that_plain_transformers_gives_it_alone(reward_model: str) -> None:
    found = ran(reward_model, rows())
    for record in found[:-1]:
        for answer in record.answers:
            expected = reference(reward_model, record.instruction, answer.content)
            assert answer.scores["reward"] == pytest.approx(expected, abs=1e-4)
    assert found[-1].dropped is not None
    assert found[-1].dropped.reason == "reward_score:no_answer"


def test_the_best_share_and_the_least_reward_go_by_the_first_answer(reward_model: str) -> None:
    with findings.collecting() as metrics:
        every = ran(reward_model, rows())
    rewards = [record.answers[0].scores["reward"] for record in every[:-1]]
    best = max(rewards)
    assert metrics["reward"]["100 %"] == pytest.approx(best, rel=1e-4)
    kept = [record for record in ran(reward_model, rows(), keep_top=1 / 7) if not record.dropped]
    assert [record.answers[0].scores["reward"] for record in kept] == [best]
    low = [record.dropped for record in ran(reward_model, rows(), min_reward=best)[:-1] if record.dropped]
    assert {drop.reason for drop in low} == {"reward_score:low_reward"}
    assert {drop.evidence["min_reward"] for drop in low} == {best}
    assert len(low) == 6


def test_half_an_answer_has_no_reward(reward_model: str) -> None:
    found = ran(reward_model, rows()[:6], max_tokens=12)
    reasons = [record.dropped.reason if record.dropped else None for record in found]
    assert reasons[0] is None
    assert reasons[-1] == "reward_score:too_long"


def test_the_same_rows_give_the_same_bytes(reward_model: str) -> None:
    runs = [list(map(encode, ran(reward_model, rows(), keep_top=0.5))) for _ in range(2)]
    assert runs[0] == runs[1]


def test_a_model_without_a_scalar_head_is_one_line(reward_model: str) -> None:
    with pytest.raises(ConfigError, match=r"lack 1 tensors, such as score\.weight"):
        ran("tiny-base", rows())
    with pytest.raises(ConfigError, match="give one of them"):
        ran(reward_model, rows(), min_reward=1.0, keep_top=0.5)
