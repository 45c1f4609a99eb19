from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

import datagen
from datagen.errors import ConfigError, LLMError, ServerGone
from datagen.llm.base import Reply, Sampling
from datagen.llm.client import LLM
from datagen.llm.journal import Journal
from datagen.llm.scripted import Scripted, scripted
from datagen.llm.team import Team, fallback, pool
from datagen.record import read_records

from .conftest import ask


def backend(name: str, answer: Callable[..., Any] | None = None) -> Scripted:
    return scripted(function=answer or (lambda *_: name), model=name)


def a_pool(journal: Journal, seed: int = 0, **weights: float) -> Team:
    members = {name: LLM(backend(name), journal) for name in weights}
    return Team("writers", list(members.values()), pool(weights, members, seed))


def a_fallback(journal: Journal, *backends: Scripted) -> Team:
    members = {one.model: LLM(one, journal) for one in backends}
    return Team("safe", list(members.values()), fallback(members))


async def test_a_pool_draws_by_weight_and_says_who_answered(journal: Journal) -> None:
    team = a_pool(journal, a=1, b=3)
    replies = [await team.chat(ask(f"q{number}"), Sampling(temperature=0)) for number in range(400)]
    assert all(reply.model == reply.text for reply in replies)
    assert Counter(reply.model for reply in replies)["b"] == pytest.approx(300, abs=30)


async def test_the_samples_of_a_prompt_go_to_different_members_before_one_is_asked_again(journal: Journal) -> None:
    team = a_pool(journal, a=1, b=1, c=5)
    for number in range(20):
        asked = [(await team.chat(ask(f"q{number}"), sample=k)).model for k in range(6)]
        assert sorted(asked[:3]) == ["a", "b", "c"]
        assert asked[3:] == asked[:3]


async def test_the_draw_is_the_same_again_and_another_for_another_seed(journal: Journal) -> None:
    def drawn(seed: int) -> list[str]:
        members = {name: LLM(backend(name), journal) for name in "abc"}
        order = pool(dict.fromkeys("abc", 1.0), members, seed)
        return [order(ask(f"q{number} \ud800"), 0)[0][0].model for number in range(50)]

    assert drawn(0) == drawn(0) != drawn(1)


async def test_an_answer_paid_for_through_a_pool_is_the_members_own(journal: Journal) -> None:
    reply = await a_pool(journal, a=1).chat(ask("q"), Sampling())
    alone = backend("a")
    assert await LLM(alone, journal).chat(ask("q"), Sampling()) == reply
    assert alone.requests == 0


@pytest.mark.parametrize("failure", [LLMError("http_500", "boom"), Reply("I cannot", "refusal"), ServerGone("gone")])
async def test_a_fallback_asks_the_next_where_one_fails(journal: Journal, failure: Any) -> None:
    def fail(*_: object) -> Reply:
        if isinstance(failure, Reply):
            return failure
        raise failure

    team = a_fallback(journal, backend("first", fail), backend("second"))
    assert (await team.chat(ask("q"))).model == "second"


async def test_a_fallback_raises_what_the_last_one_said_and_never_hides_a_mistake(journal: Journal) -> None:
    def fail(*_: object) -> LLMError:
        return LLMError("timeout", "late")

    with pytest.raises(LLMError, match="late"):
        await a_fallback(journal, backend("first", fail), backend("second", fail)).chat(ask("q"))
    with pytest.raises(ConfigError):
        await a_fallback(journal, scripted(replies=[]), backend("second")).chat(ask("q"))


async def test_after_a_fallback_the_same_request_reads_the_same_answer_also_when_the_first_is_back(
    journal: Journal,
) -> None:
    def fail(*_: object) -> LLMError:
        return LLMError("timeout", "late")

    await a_fallback(journal, backend("first", fail), backend("second")).chat(ask("q \ud800"))
    first, second = backend("first"), backend("second")
    assert (await a_fallback(journal, first, second).chat(ask("q \ud800"))).model == "second"
    assert (first.requests, second.requests) == (0, 0)


def document(tmp_path: Path, **writers: Any) -> dict[str, Any]:
    rules = tmp_path / "rules.jsonl"
    rules.write_text('{"match": "", "reply": "fine"}\n')
    members = {name: {"use": "scripted", "path": str(rules), "model": name} for name in ("a", "b")}
    return {
        "name": "team",
        "llms": {**members, "writers": {"use": "pool", "of": {"a": 1, "b": 2}, **writers}},
        "stages": {
            "n": {"use": "toy:numbers", "n": 30},
            "answers": {"use": "generators.answer", "llm": "writers", "samples": 2},
        },
    }


def test_a_pipeline_asks_a_pool_credits_the_members_and_counts_their_calls(tmp_path: Path) -> None:
    outcome = datagen.run(document(tmp_path), root=tmp_path / "runs")
    credits = [
        [answer.model for answer in record.answers]
        for record in read_records(outcome.folders["answers"] / "rows.jsonl")
    ]
    assert Counter(map(tuple, credits)).keys() == {("a", "b"), ("b", "a")}
    assert outcome.results["answers"].calls == 60
    other = datagen.run(document(tmp_path, of={"a": 1, "b": 1}), root=tmp_path / "runs")
    assert other.folders["answers"] != outcome.folders["answers"]
    assert (other.results["answers"].calls, other.results["answers"].replayed) == (0, 60)


@pytest.mark.parametrize(
    ("writers", "problem"),
    [
        ({"of": {"c": 1}}, "llms.writers: of: no LLM 'c'"),
        ({"of": {}}, "of: names the LLM entries that it stands for, such as {large: 1, small: 3}"),
        ({"of": {"a": 0}}, "of: a: 0 is no weight above 0"),
        ({"use": "fallback", "of": {"a": 1}}, r"such as \[large, small\]"),
        ({"model": "x"}, "unknown key 'model'; a pool takes 'of'"),
        ({"use": "pol"}, "did you mean 'pool'"),
    ],
)
def test_a_team_that_cannot_be_is_an_error_at_once(tmp_path: Path, writers: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        datagen.run(document(tmp_path, **writers), root=tmp_path / "runs")


def test_members_must_read_the_same_prompts_and_be_no_teams(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="different prompts: '' and 'tiny'"):
        datagen.run(document(tmp_path), {"llms.a.prompts": "tiny"}, root=tmp_path / "runs")
    nested = {"llms.b": {"use": "pool", "of": ["a"]}, "llms.writers.of": ["b"]}
    with pytest.raises(ConfigError, match="of: b is a pool or fallback itself"):
        datagen.run(document(tmp_path), nested, root=tmp_path / "runs")
