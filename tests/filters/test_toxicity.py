from __future__ import annotations

import math
import tempfile
from functools import lru_cache
from typing import Any

import pytest

from datagen.errors import ConfigError
from datagen.filters.toxicity import check, toxicity
from datagen.llm import models
from datagen.record import Answer, Message, Record, instruction

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")


@lru_cache
def tiny_classifier(problem: str | None, *labels: str, broken: bool = False) -> str:
    """The folder of tiny-base with a random head of so many labels; a broken one gives no numbers."""
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    base, folder = models.resolve("tiny-base"), tempfile.mkdtemp(prefix="tiny-classifier-")
    torch.manual_seed(1)
    model = AutoModelForSequenceClassification.from_pretrained(base, num_labels=len(labels), dtype=torch.float32)
    tokenizer = AutoTokenizer.from_pretrained(base)
    model.config.pad_token_id = tokenizer.pad_token_id
    model.config.problem_type = problem
    model.config.id2label = dict(enumerate(labels))
    model.score.weight.data *= math.nan if broken else 30
    model.save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return folder


def ran(rows: list[Record], folder: str, **options: Any) -> list[Record]:
    found = list(toxicity(iter(rows), model=folder, device="cpu", **options))
    assert [record.id for record in found] == [record.id for record in rows]
    return found


def reference(folder: str, text: str, at: int, function: str) -> float:
    from transformers import AutoModelForSequenceClassification, AutoTokenizer

    model = AutoModelForSequenceClassification.from_pretrained(folder)
    with torch.no_grad():
        logits = model(**AutoTokenizer.from_pretrained(folder)(text, return_tensors="pt")).logits[0]
    return float(torch.sigmoid(logits)[at] if function == "sigmoid" else torch.softmax(logits, -1)[at])


ROWS = [instruction(f"Say {n} words.", "plum " * (n + 1)) for n in range(4)]
TWO = instruction("Name a colour.").with_answers([Answer("red"), Answer("red and blue and green")])


@pytest.mark.parametrize(
    ("problem", "labels", "label", "at", "function"),
    [
        (None, ("ok", "Toxic"), "toxic", 1, "softmax"),
        ("multi_label_classification", ("toxicity", "insult", "threat"), "insult", 1, "sigmoid"),
        (None, ("toxic",), None, 0, "sigmoid"),
    ],
)
def test_every_answer_gets_the_probability_that_plain_transformers_gives_it_alone(
    problem: str | None, labels: tuple[str, ...], label: str | None, at: int, function: str
) -> None:
    folder = tiny_classifier(problem, *labels)
    for record in ran([*ROWS, TWO], folder, label=label, threshold=1.0):
        for answer in record.answers:
            assert answer.scores["toxicity"] == pytest.approx(reference(folder, answer.content, at, function), abs=1e-4)


def test_a_row_is_dropped_for_its_worst_answer_and_its_prompt_only_where_asked() -> None:
    folder = tiny_classifier(None, "ok", "toxic")
    (scored,) = ran([TWO], folder, label="toxic", threshold=1.0)
    scores = [answer.scores["toxicity"] for answer in scored.answers]
    (dropped,) = ran([TWO], folder, label="toxic", threshold=max(scores))
    assert dropped.dropped is not None
    assert dropped.dropped.reason == "toxicity:answer"
    worst = scores.index(max(scores))
    assert dropped.dropped.evidence == {"score": max(scores), "at": worst, "threshold": max(scores)}
    assert dropped.answers == scored.answers
    asked = Record((Message("user", TWO.answers[worst].content),))
    assert ran([asked], folder, label="toxic", threshold=max(scores))[0].dropped is None
    (found,) = ran([asked], folder, label="toxic", threshold=max(scores), prompt=True)
    assert found.dropped is not None
    assert found.dropped.reason == "toxicity:prompt"


def test_a_long_text_is_as_bad_as_its_worst_window() -> None:
    folder = tiny_classifier(None, "ok", "toxic")
    long = instruction("Say much.", "red plum blue plum green plum " * 40)
    (whole,), (cut,) = (ran([long], folder, label="toxic", threshold=1.0, max_tokens=n) for n in (None, 8))
    assert whole.answers[0].scores["toxicity"] != cut.answers[0].scores["toxicity"]
    (end,) = ran(
        [instruction("x", long.answer + " " + "sea " * 30)], folder, label="toxic", threshold=1.0, max_tokens=8
    )
    assert end.answers[0].scores["toxicity"] >= cut.answers[0].scores["toxicity"]


def test_no_text_is_not_toxic_and_a_score_that_is_no_number_is_no_score() -> None:
    empty = [instruction("Hi", ""), instruction("Hi"), instruction("\ud800", "\ud800 x")]
    found = ran(empty, tiny_classifier(None, "toxic"), threshold=1.0)
    assert found[0].answers[0].scores == {"toxicity": 0.0}
    assert [record.dropped for record in found] == [None] * 3
    (broken,) = ran(ROWS[:1], tiny_classifier(None, "toxic", broken=True))
    assert broken.dropped is not None
    assert broken.dropped.reason == "toxicity:not_finite"
    assert broken.answers[0].scores == {}


def test_a_label_that_the_model_does_not_have_and_a_threshold_out_of_reach_are_refused() -> None:
    folder = tiny_classifier(None, "ok", "toxic")
    with pytest.raises(ConfigError, match="name the label that counts; it has: ok, toxic"):
        ran(ROWS, folder)
    with pytest.raises(ConfigError, match="no label 'rude'; it has: ok, toxic"):
        ran(ROWS, folder, label="rude")
    with pytest.raises(ConfigError, match="threshold: 50"):
        check({"threshold": 50})
