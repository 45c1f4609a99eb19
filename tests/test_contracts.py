"""Laws that hold for every stage, prompt and pipeline file, also for those that are yet to come."""

from __future__ import annotations

import inspect
import random
from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import pytest
from embedder import tiny_embedder
from rewarder import tiny_rewarder

from datagen import assets, config, prompts
from datagen.document import read
from datagen.errors import LLMError
from datagen.llm.base import Reply
from datagen.llm.client import LLM
from datagen.pipeline import entries
from datagen.plugins import Stage, load_stage, stage_names
from datagen.record import Answer, Message, Record, decode, encode, instruction
from datagen.text.parsing import LISTS

PROMPTS = sorted(path.relative_to(assets.folder("prompts")) for path in assets.folder("prompts").rglob("*.j2"))
PIPELINES = sorted(assets.folder("pipelines").glob("*.yaml"))
USERS_OWN = {"alpagasus": {"stages.data.path": "seeds/tasks.jsonl"}}
"""Files that a pipeline wants of its user."""
FILTERS = [name for name in stage_names() if name.startswith("filters.")]

DIALOGUE = [Message("user", "Name a colour."), Message("assistant", "Red."), Message("user", "Another {{ one }}?")]
ASKED: dict[str, Any] = {"prompt": DIALOGUE, "instruction": "Another {{ one }}?"}
EXAMPLE = {"prompt": DIALOGUE, "answer": "Blue."}
EXAMPLES = [f"Do number {n}." for n in range(8)]
WHOLE = [{"instruction": text, "input": "", "output": "Done."} for text in EXAMPLES]
VARIABLES: dict[str, dict[str, Any]] = {
    "self_instruct/tasks": {"examples": EXAMPLES, "next": 9},
    "self_instruct/instances": {"instruction": "Add two numbers."},
    "self_instruct/classification": {"instruction": "Add two numbers."},
    "self_instruct/classes": {"instruction": "Add two numbers."},
    "self_instruct/alpaca": {"examples": WHOLE, "next": 9},
    "self_instruct/alpaca_code": {"examples": WHOLE, "next": 9},
    "answer": {"prompt": DIALOGUE},
    "grade": {**ASKED, "answer": "Blue."},
    "grade/rubrics": {**ASKED, "answer": "Blue.", "rubrics": ["accuracy", "complexity"]},
    "grade/tournament": {"first": EXAMPLE, "second": {**EXAMPLE, "answer": "Green."}},
    "judge/rank": {**ASKED, "answers": ["Blue.", "Green.", "Red."], "aspect": ""},
    "rate": {**ASKED, "answers": ["Blue.", "Green."], "aspect": "helpfulness"},
    "judge": {**ASKED, "first": "Blue.", "second": "Green."},
    "evol_instruct": {"instruction": "Add two numbers."},
    "evol_instruct/equal": {"instruction": "Add two numbers.", "evolved": "Add three numbers."},
    "translate": {"instruction": "Add two numbers.", "language": "German"},
    "self_chat": {"prompt": [*DIALOGUE, Message("assistant", "Blue.")]},
    "self_chat/transcript": {"instruction": "Add two numbers."},
    "translate/reply": {"instruction": "Add two numbers.", "answer": "3", "language": "German"},
    "decontaminate_meaning": {"instruction": "Add two numbers.", "item": "Add 2 and 3."},
    "critique": {**ASKED, "answer": "Blue.", "critique": "Too short."},
}


def variables(prompt: Path) -> dict[str, Any]:
    name = "/".join(prompt.with_suffix("").parts[-2:])
    found = VARIABLES.get(name) or VARIABLES.get(prompt.parent.name)
    assert found, f"say in VARIABLES what the stage gives to {name}"
    return found


@pytest.mark.parametrize("prompt", PROMPTS, ids=str)
def test_every_prompt_renders_strictly_to_a_chat_that_ends_with_the_users_turn(prompt: Path) -> None:
    chat = prompts.load(str(assets.folder("prompts") / prompt)).render(**variables(prompt))
    assert chat
    assert chat[-1].role == "user"
    assert all(message.role in ("system", "user", "assistant") and message.content for message in chat)
    assert [message.role for message in chat].count("system") <= 1


@pytest.mark.parametrize("prompt", PROMPTS, ids=str)
def test_every_prompt_shows_what_it_is_given(prompt: Path) -> None:
    given = variables(prompt)
    text = "\n".join(m.content for m in prompts.load(str(assets.folder("prompts") / prompt)).render(**given))
    assert str(given.get("instruction", "")) in text
    if prompt.stem == "tasks":
        assert all(example.rstrip(".") in text for example in EXAMPLES)


@pytest.mark.parametrize("path", PIPELINES, ids=lambda path: path.stem)
def test_every_pipeline_file_binds_and_is_short(path: Path) -> None:
    pipeline = config.load(path, USERS_OWN.get(path.stem))
    assert pipeline.name == path.stem
    assert len(path.read_text().partition("\ntiny:")[0].splitlines()) <= 31
    assert path.read_text().startswith("#"), "headed by the paper, the command and the size it gives"


@pytest.mark.parametrize("path", PIPELINES, ids=lambda path: path.stem)
def test_every_pipeline_file_trains_and_is_scored_on_the_shipped_models_alone(path: Path) -> None:
    has_section = "tiny" in read(path)  # one without it is on them as it stands
    pipeline = config.load(path, tiny=has_section)
    assert pipeline.name == (f"{path.stem}-tiny" if has_section else path.stem)
    for node in pipeline.nodes:
        models = [*node.given("model").values(), *(one.arguments["model"] for one in entries(node, pipeline.llms))]
        others = [model for model in models if pipeline.node(model) is None]
        assert set(others) <= {"tiny-teacher", "tiny-base"}, node.name
    used = [node.stage.name for node in pipeline.nodes]
    assert any(name.startswith("training.") for name in used)
    assert "evaluation.exact_match" in used


@pytest.mark.parametrize("name", stage_names())
def test_every_stage_says_what_it_gives_back_and_names_no_unknown_type(name: str) -> None:
    stage = load_stage(name)
    assert len(stage.summary) > 20
    module = inspect.getmodule(stage.function)
    assert module is not None
    assert module.__doc__
    assert stage.method == name.rpartition(".")[2]
    assert not {"use", "from", "repeat", "stages"} & stage.parameters.keys(), "the pipeline file means them itself"
    for parameter in stage.parameters.values():
        assert parameter.annotation is not Any, f"{name}: {parameter.name} has no annotation"


# Filters lose nothing


def mixed_records() -> list[Record]:
    """What a filter may meet: no answer, one, several, duplicates, dialogues, odd unicode, empty texts, labels."""
    plain = [instruction(f"Write {n} words about sea number {n}.", "word " * n) for n in range(6)]
    two = plain[1].with_answers([Answer("yes", "a", {"accuracy": 5.0}), Answer("no", "b", {"accuracy": 1.0})])
    odd = [instruction("Übersetze „ﬀ“ 😀\u2028\x00", "ß"), instruction("", ""), instruction(" \n", None)]
    dialogue = Record(tuple(DIALOGUE), (Answer("Blue."),), labels={"input": "", "instruction": "x"})
    same = plain[2].with_answers([Answer("same"), Answer("same")])
    return [*plain, plain[0], plain[3], two, same, *odd, dialogue, instruction("Ohne Antwort"), two]


# What a filter cannot do without, though no one of its settings is required.
NEEDS: dict[str, dict[str, Any]] = {
    "filters.keywords": {"drop": ("sea",)},
    "filters.rules": {"preset": assets.folder("seeds") / "rules" / "alpaca.yaml"},
    "filters.perplexity": {"model": "tiny-base", "quantiles": (0.2, 0.8)},
    "filters.ifd": {"model": "tiny-base"},
    "filters.select_diverse": {"by": ("accuracy",), "size": 3},
}
# What a filter must be given that takes a moment to make.
MADE: dict[str, Callable[[], dict[str, Any]]] = {
    "filters.dedup_embedding": lambda: {"model": tiny_embedder()},
    "filters.decontaminate_meaning": lambda: {"model": tiny_embedder()},
    "filters.select_diverse": lambda: {"model": tiny_embedder()},
    "filters.reward_score": lambda: {"model": tiny_rewarder()},
    "filters.toxicity": lambda: {"model": tiny_rewarder()},
    "filters.classifier": lambda: {"labels": labelled_rows()},
}


def labelled_rows() -> list[Record]:
    pytest.importorskip("sklearn")
    scores = [{"accuracy": 5.0 * (n % 2)} for n in range(20)]
    asked = [instruction(f"Write {n} words about sea number {n}.") for n in range(20)]
    return [one.with_answers([Answer("sea " * n, scores=scores[n])]) for n, one in enumerate(asked)]


async def filtered(stage: Stage, records: Iterable[Record], llm: LLM) -> list[Record]:
    given = {**NEEDS.get(stage.name, {}), **MADE.get(stage.name, dict)()}
    for parameter in stage.parameters.values():
        if parameter.kind == "llm":
            given[parameter.name] = llm
        elif parameter.kind in ("rows", "named_rows") and parameter.required and parameter.name not in given:
            given[parameter.name] = mixed_records()[:2]
        elif parameter.kind == "rng":
            given[parameter.name] = random.Random(0)
        else:
            assert parameter.name in given or not parameter.required, (
                f"say here what {stage.name} gets for {parameter.name}"
            )
    if stage.shape == "record":
        return [made for record in records for made in await stage.function(record, **given)]
    if stage.shape == "loop":
        return [record async for record in stage.function(iter(records), **given)]
    return list(stage.function(iter(records), **given))


GARBAGE = ["", "???", "Score: banana", "5" * 400, "\x00\ud800", "[[A]] [[B]]", "1. \n2. ", "-1", "Score: 11/10"]
ANSWERS: dict[str, Callable[..., Any]] = {
    "garbage": lambda messages, sampling, sample: GARBAGE[sum(len(m.content) for m in messages) % len(GARBAGE)],
    "cut": lambda messages, sampling, sample: Reply("Score: 4. Because", "length"),
    "errors": lambda messages, sampling, sample: LLMError("http_500", "scripted"),
}


@pytest.mark.parametrize("replies", ANSWERS)
@pytest.mark.parametrize("name", FILTERS)
async def test_every_filter_yields_each_record_once_in_order_with_its_answers(
    name: str, replies: str, llm: Callable[..., LLM]
) -> None:
    records, stage = mixed_records(), load_stage(name)
    try:
        out = await filtered(stage, records, llm(ANSWERS[replies]))
    except LLMError:
        assert stage.shape == "record", "only the runner may be left to catch it, and it does so per record"
        return
    assert len(out) == len(records)
    for before, after in zip(records, out, strict=True):
        assert after.prompt == before.prompt
        if after.dropped is None:
            assert sorted(a.content for a in after.answers) == sorted(a.content for a in before.answers)
        else:
            assert after.id == before.id
            assert after.dropped.reason.startswith(f"{stage.method}:")
        assert decode(encode(after)).id == after.id


@pytest.mark.parametrize("name", FILTERS)
async def test_every_filter_takes_an_empty_stream(name: str, llm: Callable[..., LLM]) -> None:
    assert await filtered(load_stage(name), [], llm(ANSWERS["garbage"])) == []


@pytest.mark.parametrize("name", FILTERS)
async def test_every_filter_gives_the_same_bytes_twice(name: str, llm: Callable[..., LLM]) -> None:
    stage = load_stage(name)
    runs = [await filtered(stage, mixed_records(), llm(ANSWERS["garbage"])) for _ in range(2)]
    assert [encode(record) for record in runs[0]] == [encode(record) for record in runs[1]]


# Generators survive an LLM that answers garbage to everything


@pytest.mark.parametrize("name", [name for name in stage_names() if name.startswith("generators.")])
async def test_no_generator_raises_on_garbage_or_loses_a_record(name: str, llm: Callable[..., LLM]) -> None:
    stage, garbage = load_stage(name), llm(ANSWERS["garbage"])
    given: dict[str, Any] = {"rng": random.Random(0)} if "rng" in stage.parameters else {}
    given |= {p.name: garbage for p in stage.parameters.values() if p.kind == "llm"}
    given |= {"count": 3} if "count" in stage.parameters else {}
    given |= {"languages": ["German", "Thai"]} if "languages" in stage.parameters else {}
    if stage.shape == "record":
        for record in mixed_records():
            made = await stage.function(record, **given)
            assert made
            assert all(one.dropped is None or one.dropped.reason.startswith(f"{stage.method}:") for one in made)
    elif stage.shape == "loop":
        made = [one async for one in stage.function(iter(mixed_records()), **given)]
        assert made
        assert all(encode(one) for one in made)


def test_the_list_parsers_are_named_in_prompts_only_where_they_exist() -> None:
    named = {prompts.load(str(assets.folder("prompts") / path)).parser for path in PROMPTS if path.stem == "tasks"}
    assert named <= set(LISTS)
