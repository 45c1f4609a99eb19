from __future__ import annotations

import importlib.metadata
import random
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any, Literal

import pytest

from datagen import plugins
from datagen.errors import ConfigError
from datagen.llm.client import LLM
from datagen.plugins import check_arguments, load_backend, load_stage, parameters, stage_names
from datagen.stage import EachAlone, ModelName, PromptName, Rows


@pytest.mark.parametrize(
    ("name", "shape", "many"),
    [
        ("toy:numbers", "source", False),
        ("toy:answer", "record", False),
        ("toy:every", "stream", False),
        ("toy:blend", "stream", True),
        ("toy:grade", "loop", False),
        ("toy:train", "job", False),
        ("toy:measure", "job", False),
    ],
)
def test_the_signature_tells_the_shape(name: str, shape: str, many: bool) -> None:
    stage = load_stage(name)
    assert (stage.shape, stage.many, stage.method) == (shape, many, name.partition(":")[2])


def test_a_bare_name_will_do_where_it_is_unambiguous() -> None:
    assert load_stage("length") == load_stage("filters.length")
    assert load_stage("length").summary.startswith("Drop texts that are too short")
    assert load_stage("length").details.startswith("Records whose text")


@pytest.mark.parametrize(
    ("name", "problem"),
    [
        ("filters.lenght", "no stage 'filters.lenght'.*did you mean 'filters.length'"),
        ("generators.length", "did you mean 'filters.length'"),
        ("nothing_like_it", "no stage 'nothing_like_it'; `datagen list`"),
        ("toy:nothing", "toy has no function 'nothing'"),
        ("toy:Any.x", "has no function"),
        ("no_such_module:f", "no module 'no_such_module'; is its folder on PYTHONPATH"),
        ("toy:not_a_stage", "none of a stage's shapes"),
    ],
)
def test_an_unknown_stage_is_one_line_with_the_nearest_name(name: str, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        load_stage(name)


def test_an_unknown_back_end_lists_those_there_are() -> None:
    with pytest.raises(ConfigError, match=r"no LLM back end 'opnai' \(did you mean 'openai'\?\); there are: "):
        load_backend("opnai")


def test_a_module_that_lacks_a_dependency_says_which(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "needy.py").write_text("import not_installed_anywhere\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ConfigError, match="needs 'not_installed_anywhere'"):
        load_stage("needy:stage")


def test_a_bug_in_a_module_is_not_called_a_missing_function(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "buggy.py").write_text("import math\nmath.no_such_thing\n")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(AttributeError, match="no_such_thing"):
        load_stage("buggy:stage")


@pytest.fixture
def fresh_names() -> Iterator[None]:
    caches = (plugins._entry_points, plugins.stage_names, plugins.load_stage)
    for cached in caches:
        cached.cache_clear()
    yield
    for cached in caches:
        cached.cache_clear()


@pytest.mark.usefixtures("fresh_names")
def test_other_packages_add_stages_by_entry_point(monkeypatch: pytest.MonkeyPatch) -> None:
    point = importlib.metadata.EntryPoint("filters.mine", "toy:every", "datagen")
    monkeypatch.setattr(importlib.metadata, "entry_points", lambda group: [point])
    assert "filters.mine" in stage_names()
    assert load_stage("mine").name == "filters.mine"
    assert load_stage("filters.mine").shape == "stream"


def test_helpers_beside_a_stage_are_no_stages() -> None:
    assert "filters.length" in stage_names()
    assert "training.launch" not in stage_names()
    assert "text.rouge" not in stage_names()


def test_a_filter_that_draws_lots_does_not_judge_each_row_alone() -> None:
    assert load_stage("filters.length").judges_each_alone
    assert not load_stage(f"{__name__}:drawn").judges_each_alone


def drawn(records: Iterator[Any], *, rng: random.Random) -> EachAlone:
    return (record for record in records if rng.random() < 2)


async def example(
    records: Any,
    *,
    llm: LLM,
    judge: LLM | None = None,
    rng: random.Random,
    against: Rows | None = None,
    path: Path | None = None,
    prompt: PromptName = PromptName("a/b"),
    base: ModelName = ModelName("tiny-base"),
    count: int = 3,
    share: float = 0.5,
    of: Literal["answer", "instruction"] = "answer",
    words: list[str] = ["a"],  # noqa: B006
    sampling: dict[str, float] | None = None,
) -> AsyncIterator[Any]:
    """Every kind of argument."""
    yield records


def test_special_annotations_are_known_by_kind_also_when_optional() -> None:
    kinds = {name: parameter.kind for name, parameter in parameters(example).items()}
    special = ["llm", "llm", "rng", "rows", "path", "prompt", "model"]
    assert list(kinds.values()) == [*special, "value", "value", "value", "value", "value"]


def test_defaults_are_filled_in_and_the_rng_is_nobodys_business() -> None:
    arguments = check_arguments("here", parameters(example), {"llm": "t", "count": 5, "share": 1})
    assert arguments["count"] == 5
    assert arguments["share"] == 1.0
    assert arguments["judge"] is None
    assert "rng" not in arguments


@pytest.mark.parametrize(
    ("given", "problem"),
    [
        ({}, "here: needs 'llm'"),
        ({"llm": "t", "cuont": 1}, "here: unknown key 'cuont' .did you mean 'count'.*; allowed: llm, judge"),
        ({"llm": "t", "rng": 1}, "unknown key 'rng'"),
        ({"llm": "t", "count": "many"}, "here: count: 'many': .*takes int"),
        ({"llm": "t", "count": 1.5}, "count: 1.5"),
        ({"llm": "t", "count": None}, "count"),
        ({"llm": "t", "share": "half"}, "takes float"),
        ({"llm": "t", "of": "anser"}, "of: 'anser': .*'answer', 'instruction'"),
        ({"llm": "t", "words": "a"}, "words"),
        ({"llm": "t", "words": [1]}, "words"),
        ({"llm": ["t"]}, "llm"),
        ({"llm": "t", "path": 3}, "path"),
        ({"llm": "t", "sampling": {"a": "b"}}, "sampling"),
    ],
)
def test_a_wrong_argument_says_where_what_and_what_is_allowed(given: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        check_arguments("here", parameters(example), given)


def test_none_is_given_only_where_it_is_allowed() -> None:
    assert check_arguments("here", parameters(example), {"llm": "t", "sampling": None})["sampling"] is None
