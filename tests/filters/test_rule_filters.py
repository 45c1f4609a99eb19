"""The filters made of single-row rules: keywords, repetition, form, and rules from a file."""

from __future__ import annotations

from pathlib import Path

import pytest

from datagen import assets, config
from datagen.errors import ConfigError
from datagen.filters.form import form
from datagen.filters.keywords import keywords
from datagen.filters.length import length
from datagen.filters.repetition import repetition
from datagen.filters.rules import rules
from datagen.record import Record, instruction
from datagen.text.rules import Length

ROWS = [
    instruction("Draw a cat.", "I would, but this is text."),
    instruction("Name a big sea.", "the sea is big and " * 10),
    instruction("Name three birds.", "They are:"),
    instruction("Name three fish.", "Carp, pike and eel."),
]


def reasons(records: list[Record]) -> list[str | None]:
    return [record.dropped.reason if record.dropped else None for record in records]


def test_each_filter_drops_with_its_own_name_and_the_evidence() -> None:
    found = list(keywords(ROWS, drop=("draw",)))
    assert reasons(found) == ["keywords:keyword", None, None, None]
    assert found[0].dropped is not None
    assert found[0].dropped.evidence == {"matched": "Draw"}
    assert reasons(list(repetition(ROWS))) == [None, "repetition:repeated_ngram", None, None]
    assert reasons(list(form(ROWS))) == [None, None, "form:unfinished_answer", None]
    assert reasons(list(form(ROWS, without=("empty_answer",)))) == [None] * 4


def test_rules_of_a_file_and_further_ones_run_in_one_pass(tmp_path: Path) -> None:
    path = tmp_path / "mine.yaml"
    path.write_text("rules:\n  - {rule: keywords, drop: [draw]}\n  - {rule: form}\n")
    found = list(rules(ROWS, preset=path, also=(Length(of="answer", max_words=20),)))
    assert reasons(found) == ["rules:keyword", "rules:too_long", "rules:unfinished_answer", None]


def test_the_shipped_presets_differ_as_the_projects_do() -> None:
    def dropped(name: str, record: Record) -> str | None:
        return reasons(list(rules([record], preset=assets.folder("seeds") / "rules" / f"{name}.yaml")))[0]

    song = instruction("Name the music of this film please", "Waltz.")
    assert dropped("self_instruct", song) is None
    assert dropped("alpaca", song) == "rules:keyword"
    vendor = instruction("Who are you, if I may ask?", "I am ChatGPT, made by OpenAI.")
    assert [dropped(name, vendor) for name in ("self_instruct", "alpaca", "vicuna")] == [None, None, "rules:keyword"]


def pipeline(**stage: object) -> dict[str, object]:
    return {"name": "x", "stages": {"seeds": {"use": "sources.jsonl", "path": "seeds/tasks.jsonl"}, "clean": stage}}


def test_mistakes_are_found_before_any_work(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match="rules: name a preset"):
        config.build(pipeline(use="filters.rules"))
    with pytest.raises(ConfigError, match="name words to drop"):
        config.build(pipeline(use="filters.keywords"))
    with pytest.raises(ConfigError, match=r"drop: 'paper': .*it takes list\[str\]$"):
        config.build(pipeline(use="filters.keywords", drop="paper"))
    with pytest.raises(ConfigError, match=r"no LLM 'teacher'; there are: none .*--llm NAME"):
        config.build(pipeline(use="filters.grade", llm="teacher"))
    with pytest.raises(ConfigError, match="need a tokenizer"):
        config.build(pipeline(use="filters.length", max_tokens=3))
    with pytest.raises(ConfigError, match="repetition: ngram: an n-gram has at least 1 word"):
        config.build(pipeline(use="filters.repetition", ngram=0))
    with pytest.raises(ConfigError, match="max_line_share: 50"):
        config.build(pipeline(use="filters.rules", also=[{"rule": "repetition", "max_line_share": 50}]))
    (tmp_path / "bad.yaml").write_text("rules: [{rule: lenght}]")
    with pytest.raises(ConfigError, match="lenght"):
        config.build(pipeline(use="filters.rules", preset=str(tmp_path / "bad.yaml")))
    with pytest.raises(ConfigError, match="min_word"):
        config.build(pipeline(use="filters.rules", also=[{"rule": "length", "min_word": 3}]))


def test_a_preset_binds_by_its_shipped_name() -> None:
    built = config.build(pipeline(use="filters.rules", preset="seeds/rules/alpaca.yaml"))
    assert built.nodes[-1].arguments["preset"].endswith("alpaca.yaml")


def test_length_still_says_both_counts() -> None:
    (found,) = length([instruction("one two")], max_words=1)
    assert found.dropped is not None
    assert found.dropped.evidence == {"words": 2, "chars": 7}
