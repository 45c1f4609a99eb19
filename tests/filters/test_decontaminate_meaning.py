"""Leaks in other words: by a real, tiny model that only knows texts apart, by MiniLM, and with scripted verdicts."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from embedder import minilm, tiny_embedder

from datagen import findings
from datagen.errors import ConfigError, LLMError
from datagen.filters.decontaminate_meaning import decontaminate_meaning
from datagen.llm.base import Reply
from datagen.llm.client import LLM
from datagen.plugins import load_stage
from datagen.record import Record, instruction
from datagen.stage import ModelName

ITEM = "Tom has 3 apples and buys 4 more. How many apples does he have?"
OTHER = "Which river is the longest in Asia?"


@pytest.fixture(autouse=True)
def _own_cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATAGEN_CACHE", str(tmp_path / "cache"))


async def run(*texts: str, model: str | None = None, **settings: Any) -> list[Record]:
    against = {"sums": [instruction("Fill."), instruction(ITEM)], "geo": [instruction(OTHER)]}
    given = map(instruction, texts)
    stage = decontaminate_meaning(given, against=against, model=ModelName(model or tiny_embedder()), **settings)
    return [record async for record in stage]


def reasons(found: list[Record]) -> list[str]:
    return [record.dropped.reason.partition(":")[2] if record.dropped else "" for record in found]


async def test_what_is_near_is_dropped_with_item_and_similarity() -> None:
    with findings.collecting() as told:
        found = await run(ITEM, "Paint a picture of a red horse.", threshold=0.999)
    assert reasons(found) == ["similar", ""]
    assert found[0].dropped
    assert found[0].dropped.evidence == {"benchmark": "sums", "item": ITEM, "number": 1, "similarity": 1.0}
    assert told["sums"] == {"items": 2, "items hit": 1, "rows dropped": 1, "similar": 1}


async def test_minilm_finds_a_rephrased_item_and_leaves_the_rest() -> None:
    leak = "After buying 4 apples in addition to the 3 he already had, what number of apples does Tom own?"
    clean = "Suggest three names for a bakery."
    assert reasons(await run(leak, clean, model=minilm())) == ["similar", ""]


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        ("Yes", "rephrased"),
        ("**No.**", ""),
        ("", "unparsed"),
        ("No problem, here is a poem", "unparsed"),
        ("1. Yes", "unparsed"),
        ("One text comes from training data, the other from a test.", "unparsed"),
        ("yes " * 5000, "unparsed"),
    ],
)
async def test_the_llm_decides_about_what_is_near(
    reply: str, reason: str, llm: Callable[[Callable[..., Any]], LLM]
) -> None:
    found = await run(ITEM, threshold=0.999, llm=llm(lambda messages, sampling, sample: reply))
    assert reasons(found) == [reason]
    if found[0].dropped:
        assert reply in (found[0].dropped.evidence.get("verdict"), found[0].dropped.evidence.get("raw"))


async def test_the_llm_is_shown_the_nearest_items_until_it_says_yes(llm: Callable[[Callable[..., Any]], LLM]) -> None:
    shown: list[str] = []

    def answer(messages: Any, sampling: Any, sample: int) -> Reply:
        shown.append(messages[-1].content)
        return Reply("Yes" if OTHER in messages[-1].content else "No")

    found = await run(ITEM, threshold=1e-6, nearest=3, llm=llm(answer))
    assert ITEM in shown[0].partition("<test>")[2]
    assert reasons(found) == ["rephrased"]
    assert found[0].dropped
    assert found[0].dropped.evidence["benchmark"] == "geo"


async def test_a_failed_call_is_a_reason(llm: Callable[[Callable[..., Any]], LLM]) -> None:
    failing = llm(lambda messages, sampling, sample: LLMError("http_500", "scripted"))
    assert reasons(await run(ITEM, OTHER + "!", threshold=0.999, llm=failing))[0] == "http_500"


async def test_no_item_and_no_row_are_nothing() -> None:
    model = ModelName(tiny_embedder())
    assert [r async for r in decontaminate_meaning([], against={"none": []}, model=model)] == []
    kept = [r async for r in decontaminate_meaning([instruction("a")], against={"none": []}, model=model)]
    assert reasons(kept) == [""]


@pytest.mark.parametrize("wrong", [{"threshold": 0.0}, {"threshold": 1.5}, {"batch_size": 0}, {"nearest": 2}])
def test_impossible_settings_are_refused_before_any_work(wrong: dict[str, float]) -> None:
    given = {"threshold": 0.8, "batch_size": 64, "nearest": None, "llm": None, **wrong}
    with pytest.raises(ConfigError):
        load_stage("filters.decontaminate_meaning").check(given)
