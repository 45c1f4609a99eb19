from __future__ import annotations

import pytest

from datagen.text.untouched import Lost, lost, prose

CODE = "```python\nprint('hello')  # 3 words\n```"


@pytest.mark.parametrize(
    ("source", "translation"),
    [
        (f"Explain: {CODE}", f"Erkläre: {CODE}"),
        ("Write to a@b.org or see https://x.org/a?b=1.", "Schreibe an a@b.org, oder siehe https://x.org/a?b=1！"),
        ("Greet {name} and {{ other }} with %s and <b>bold</b> [CITY]", "<b>fett</b> %s {{ other }} {name} [CITY]"),
        ("It cost 1,234.50 in 2016.", "En 2016, 1 234,50 a été payé."),
        ("It cost 12,500 then.", "Damals kostete es 12 500."),
        ("It cost 12,500 then.", "Es kostete 12.500"),
        ("At 12:30 on 2016-05-04", "Le 04/05/2016 à 12h30"),
        ("Add 23 and 4.", "أضف ٢٣ و ٤"),
        ("Give two words.", "Gib 2 Wörter."),
        ("Is x<y and y>z? Is 50% safe?", "Ist x<y und y>z? Sind 50% sicher?"),
    ],
)
def test_what_is_still_there_is_not_lost(source: str, translation: str) -> None:
    assert lost(source, translation) == []


@pytest.mark.parametrize(
    ("source", "translation", "missing"),
    [
        (f"Explain: {CODE}", "Erkläre: ```python\nprint('hallo')  # 3 words\n```", [("code", CODE)]),
        ("Run `ls -l`.", "Führe ls -l aus.", [("code", "`ls -l`")]),
        ("See https://x.org/a.", "Siehe https://x.org/b.", [("url", "https://x.org/a")]),
        ("Dear {name},", "Liebe {Name},", [("placeholder", "{name}")]),
        ("From {name} to {name}", "Von {name}", [("placeholder", "{name}")]),
        ('See <a href="x y">', 'Siehe <a href="x z">', [("placeholder", '<a href="x y">')]),
        ("Print %d%%", "Drucke %s%%", [("placeholder", "%d")]),
        ("The 3 and the 3", "Die 3", [("number", "3")]),
        ("Name 3 things.", "Nenne drei Dinge.", [("number", "3")]),
        ("Add 12 and 13.", "Addiere 1213.", [("number", "12"), ("number", "13")]),
    ],
)
def test_what_is_gone_or_changed_is_lost(source: str, translation: str, missing: list[tuple[str, str]]) -> None:
    assert lost(source, translation) == [Lost(*one) for one in missing]


def test_a_number_in_code_is_the_codes_and_counted_once() -> None:
    assert lost("Run `f(3)`.", "Führe `f(4)` aus.") == [Lost("code", "`f(3)`")]


def test_prose_is_what_is_left_to_translate() -> None:
    assert prose("`ls` https://x.org {name} 12").split() == []
    assert prose("Run `ls` 3 times.").split() == ["Run", "times."]


@pytest.mark.parametrize("piece", ["`", "```", "a@", "{", "<a", "1,", "%(", "[A", "1 000 ", "www."])
def test_a_hostile_text_is_read_in_linear_time(piece: str) -> None:
    text = piece * (300_000 // len(piece))
    assert lost(text, text) == []
