from __future__ import annotations

import pytest

pytest.importorskip("pycld2")
from datagen.errors import ConfigError
from datagen.filters.language import language
from datagen.record import Record, instruction

ENGLISH = instruction("Say how bread is baked.", "Mix flour with water and salt, let it rest, and bake it.")
GERMAN = instruction("Sag, wie man Brot backt.", "Mische Mehl mit Wasser und Salz, lass es ruhen und backe es.")
SUM = instruction("6 + 3 =", "9")
BOTH = instruction(
    "Give a translation of it into German. Mix flour with water and salt, let it rest, and bake it in an oven.",
    f"{GERMAN.answer} Das fertige Brot sollte danach mindestens eine Stunde auskühlen.",
)


def reasons(records: list[Record]) -> list[str | None]:
    return [record.dropped.reason if record.dropped else None for record in records]


def test_every_row_gets_its_language_and_none_is_dropped_by_default() -> None:
    found = list(language([ENGLISH, GERMAN, SUM]))
    assert [record.language for record in found] == ["en", "de", ""]
    assert reasons(found) == [None] * 3
    assert [record.id for record in found] == [ENGLISH.id, GERMAN.id, SUM.id]


def test_a_row_in_another_language_is_dropped_with_what_was_found() -> None:
    found = list(language([ENGLISH, GERMAN, SUM], keep=["en"]))
    assert reasons(found) == [None, "language:other", None]
    assert found[1].dropped is not None
    assert found[1].dropped.evidence["language"] == "de"
    assert found[1].dropped.evidence["certain"] is True
    assert found[1].dropped.evidence["shares"]["de"] > 0.9
    assert reasons(list(language([ENGLISH, GERMAN], keep=["en", "de"]))) == [None, None]


def test_a_mixed_row_is_dropped_where_a_share_is_asked_for() -> None:
    assert reasons(list(language([BOTH, ENGLISH], min_share=0.8))) == ["language:mixed", None]


def test_only_the_part_asked_for_counts() -> None:
    assert reasons(list(language([BOTH], keep=["de"], of="answer", min_share=0.8))) == [None]


def test_what_has_no_language_can_be_dropped_too() -> None:
    assert reasons(list(language([SUM], keep_unknown=False))) == ["language:unknown"]


def test_a_language_that_no_row_can_have_is_refused() -> None:
    with pytest.raises(ConfigError, match="no language 'english'"):
        list(language([ENGLISH], keep=["english"]))
    with pytest.raises(ConfigError, match="min_share: 80 is no share"):
        list(language([ENGLISH], min_share=80))
