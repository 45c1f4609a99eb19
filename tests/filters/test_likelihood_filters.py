"""Perplexity and IFD, by tiny-base and by a hand-worked model."""

from __future__ import annotations

import json
import math
import random
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from datagen import config, findings
from datagen.errors import ConfigError
from datagen.filters.ifd import ifd
from datagen.filters.perplexity import perplexity
from datagen.llm import models
from datagen.record import Message, Record, encode, instruction
from datagen.store import Store
from datagen.text.local_scores import LocalModel, Span

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

FACTS = [("the opposite of big is", "small."), ("the opposite of small is", "big."), ("one and two make", "three.")]


def rows() -> list[Record]:
    good = [instruction(question, answer) for question, answer in FACTS]
    noise = instruction(FACTS[0][0], "plum plum seven seven the of.")
    return [*good, noise, instruction("Hi", None), instruction("Hi", "")]


def ran(stage: Callable[..., Any], given: list[Record], **options: Any) -> list[Record]:
    options = {"model": "tiny-base", "rng": random.Random(0), "layout": "plain", "device": "cpu", **options}
    found = list(stage(iter(given), **options))
    assert [record.id for record in found] == [record.id for record in given]
    return found


def reasons(found: list[Record]) -> list[str | None]:
    return [record.dropped.reason if record.dropped else None for record in found]


def reference_loss(text: str, target: str) -> float:
    """Mean loss of the tokens of ``target`` at the end of ``text``, by plain transformers; lines begin with a space."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    folder = models.resolve("tiny-base")
    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModelForCausalLM.from_pretrained(folder).float()
    ids = [tokenizer.eos_token_id, *tokenizer(text, add_special_tokens=False)["input_ids"]]
    count = len(tokenizer(target, add_special_tokens=False)["input_ids"])
    with torch.no_grad():
        logs = model(torch.tensor([ids])).logits[0].log_softmax(-1)
    return -sum(logs[at - 1, ids[at]].item() for at in range(len(ids) - count, len(ids))) / count


def test_perplexity_is_that_of_plain_transformers_whatever_else_is_in_the_batch() -> None:
    found = ran(perplexity, rows(), max_perplexity=1e9)
    for record in found[:4]:
        expected = math.exp(reference_loss(f"{record.instruction}\n{record.answer}", f" {record.answer}"))
        assert record.answers[0].scores["perplexity"] == pytest.approx(expected, rel=1e-3)
    assert reasons(found)[4:] == ["perplexity:no_answer", "perplexity:empty"]


def test_the_whole_text_counts_where_it_is_asked_for() -> None:
    (found,) = ran(perplexity, rows()[:1], of="all", max_perplexity=1e9)
    text = f"{found.instruction}\n{found.answer}"
    assert found.answers[0].scores["perplexity"] == pytest.approx(math.exp(reference_loss(text, text)), rel=1e-3)
    (bare,) = ran(perplexity, [instruction("the opposite of big is small.")], of="all", max_perplexity=1e9)
    assert bare.labels["perplexity"] > 1


def test_the_window_drops_what_is_trite_and_what_is_noise() -> None:
    found = ran(perplexity, rows()[:4], max_perplexity=1e9)
    values = [record.answers[0].scores["perplexity"] for record in found]
    assert values[3] > max(values[:3])
    low, high = sorted(values)[1:3]
    again = ran(perplexity, rows()[:4], min_perplexity=low, max_perplexity=high)
    kept = [record.answers[0].scores["perplexity"] for record in again if not record.dropped]
    assert sorted(kept) == [low, high]
    assert again[3].dropped is not None
    assert again[3].dropped.reason == "perplexity:high_perplexity"
    assert again[3].dropped.evidence == {"perplexity": values[3], "max_perplexity": high}
    middle = ran(perplexity, rows()[:4], quantiles=(0.25, 0.75))
    assert reasons(middle) == reasons(again)


def test_ifd_is_the_ratio_of_the_answer_after_its_instruction_and_alone() -> None:
    found = ran(ifd, rows()[:3], max_ifd=None)
    for record in found:
        given = reference_loss(f"{record.instruction}\n{record.answer}", f" {record.answer}")
        alone = reference_loss(f" {record.answer}", f" {record.answer}")
        assert record.answers[0].scores["ifd"] == pytest.approx(math.exp(given - alone), rel=1e-3)
    (by_loss,) = ran(ifd, rows()[:1], max_ifd=None, ratio="loss")
    given = reference_loss(f"{by_loss.instruction}\n{by_loss.answer}", f" {by_loss.answer}")
    assert by_loss.answers[0].scores["ifd"] == pytest.approx(given / reference_loss(" small.", " small."), rel=1e-3)


def test_the_top_share_is_taken_of_those_that_the_instruction_does_not_mislead() -> None:
    odd = [instruction(question, "the capital of France is Paris.") for question, _ in FACTS]
    given = [*rows()[:3], *odd]
    values = [record.answers[0].scores["ifd"] for record in ran(ifd, given, max_ifd=None)]
    assert max(values[:3]) < 1 < min(values[3:])
    found = ran(ifd, given, keep_top=1 / 6)
    best = max((value, -at) for at, value in enumerate(values) if value <= 1)
    assert [at for at, record in enumerate(found) if not record.dropped] == [-best[1]]
    high = {record.dropped.reason for record, value in zip(found, values, strict=True) if record.dropped and value > 1}
    assert high == {"ifd:high_ifd"}


def test_rows_that_are_cut_are_counted_and_a_prompt_that_leaves_no_room_is_dropped() -> None:
    given = [instruction("big", "small " * 40), instruction("big " * 40, "small"), instruction("big", "small")]
    with findings.collecting() as metrics:
        found = ran(perplexity, given, max_perplexity=1e9, max_tokens=16)
    assert reasons(found) == [None, "perplexity:no_room", None]
    assert metrics["truncated_rows"] == 2
    assert metrics["max_tokens"] == 16
    assert metrics["perplexity"]["0 %"] <= metrics["perplexity"]["100 %"]


def test_the_answer_s_tokens_are_found_inside_the_chat_template() -> None:
    model = LocalModel("tiny-teacher", device="cpu", max_tokens=None)
    span = model.answer(instruction("Name a colour: \ue000answer\ue000", "red"))
    assert isinstance(span, Span)
    assert model.tokenizer.decode(span.target).strip() == "red"
    assert model.tokenizer.decode(span.context).rstrip().endswith("<|assistant|>")
    assert model.alone(span).target == span.target


def test_a_dialogue_a_surrogate_and_a_record_that_the_template_refuses_are_no_trouble(tmp_path: Path) -> None:
    turns = (Message("user", "Hi \ud800"), Message("assistant", "Hello"), Message("user", "Bye"))
    given = [instruction("a", "b \udfff c"), Record(turns, instruction("a", "b").answers)]
    for layout in ("plain", "chat"):
        assert reasons(ran(perplexity, given, max_perplexity=1e30, layout=layout)) == [None, None]
    folder = Path(shutil.copytree(models.resolve("tiny-base"), tmp_path / "strict"))
    strict = (
        "{% if messages | length > 2 %}{{ raise_exception('too many turns') }}{% endif %}{{ messages[-1].content }}"
    )
    (folder / "chat_template.jinja").write_text(strict)
    found = ran(perplexity, given, max_perplexity=1e30, layout="chat", model=str(folder))
    assert reasons(found) == [None, "perplexity:chat_template"]


def test_the_same_rows_give_the_same_bytes() -> None:
    given = [instruction(f"{question} {n}", answer) for n in range(20) for question, answer in FACTS]
    runs = [list(map(encode, ran(perplexity, given, quantiles=(0.2, 0.8)))) for _ in range(2)]
    assert runs[0] == runs[1]


@pytest.mark.parametrize(
    ("stage", "options", "what"),
    [
        (perplexity, {}, "give min_perplexity"),
        (perplexity, {"min_perplexity": 3.0, "max_perplexity": 2.0}, "above"),
        (perplexity, {"quantiles": (0.5, 0.5)}, "no window"),
        (perplexity, {"max_perplexity": 2.0, "quantiles": (0.1, 0.5)}, "or quantiles"),
        (ifd, {"keep_top": 2.0}, "not a share"),
        (ifd, {"max_ifd": 0.0}, "not above 0"),
        (ifd, {"model": "tiny-bsae"}, "did you mean tiny-base"),
    ],
)
def test_settings_that_cannot_be_are_one_line(stage: Callable[..., Any], options: dict[str, Any], what: str) -> None:
    with pytest.raises(ConfigError, match=what):
        ran(stage, rows()[:1], **options)


def test_a_model_of_a_stage_above_is_part_of_the_key(tmp_path: Path) -> None:
    (tmp_path / "d.jsonl").write_text(json.dumps({"instruction": "Hi", "output": "Ho"}) + "\n")
    stages = {
        "data": {"use": "sources.jsonl", "path": str(tmp_path / "d.jsonl")},
        "sft": {"use": "training.sft", "from": "data", "base": "tiny-base"},
        "easy": {"use": "filters.ifd", "from": "data", "model": "sft"},
    }

    def key(rate: float) -> str:
        pipeline = config.build({"name": "x", "stages": stages}, {"stages.sft.args": {"learning_rate": rate}})
        (node,) = [node for node in pipeline.nodes if node.name == "easy"]
        return Store(tmp_path, pipeline).path(node).name

    assert key(0.1) == key(0.1)
    assert key(0.1) != key(0.2)
