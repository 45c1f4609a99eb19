from __future__ import annotations

import time
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from datagen import assets
from datagen.errors import ConfigError
from datagen.record import Record, instruction
from datagen.text.rules import Form, Keywords, Length, Repetition, Rule, read_rules
from datagen.text.tasks import flaw
from datagen.text.words import words

PRESETS = sorted((assets.folder("seeds") / "rules").glob("*.yaml"))


def why(rule: Rule, record: Record) -> str | None:
    found = rule.flaw(record)
    return found.why if found else None


@pytest.mark.parametrize(
    ("text", "matched"),
    [
        ("Draw a cat", "Draw"),
        ("Draw-string bags", "Draw"),
        ("Withdraw some money", None),
        ("Drawing is fun", None),
        ("Please go  to\nbed", "go  to"),
        ("Filenames differ", "File"),
        ("请画一张图片。", "图片"),
        ("看image吧", "image"),
        ("Say C++ or C", "C++"),
        ("", None),
    ],
)
def test_keywords_are_whole_words(text: str, matched: str | None) -> None:
    found = Keywords(drop=("draw", "go to", "file*", "图片", "image", "C++")).flaw(instruction(text))
    assert (found.evidence["matched"] if found else None) == matched


def test_keywords_can_mean_the_start_alone_and_a_case() -> None:
    rule = Keywords(start=("Write a program",), match_case=True)
    assert why(rule, instruction("Write a program in C.")) == "start"
    assert why(rule, instruction("write a program in C.")) is None
    assert why(rule, instruction("Write a programme.")) is None
    assert why(rule, instruction("Now: Write a program in C.")) is None


@pytest.mark.parametrize(
    ("answer", "reason"),
    [
        ("the sea is big and " * 10, "repeated_ngram"),
        (" ".join(f"word{n}" for n in range(60)), None),
        ("the sea " * 5, None),
        ("海很大也很蓝" * 20, "repeated_ngram"),
        ("Roses are red and so on.\n" * 5 + "Violets are blue, dear reader of this poem.\n", "repeated_line"),
        ("Chorus\n" * 7 + " ".join(f"word{n}" for n in range(60)), None),
        ("玫瑰是红色的花朵。\n" * 5 + "紫罗兰是蓝色的，亲爱的读者，这首诗就到这里结束了。\n" * 1, "repeated_line"),
        ("Here:\n1. One\n1. Two\n1. Three", "repeated_list"),
        ("1. One\n  - a\n1. Two", "repeated_list"),
        ("1. One\n2. Two\n\n1. Again\n2. And again", None),
        ("", None),
    ],
)
def test_what_is_said_over_and_over(answer: str, reason: str | None) -> None:
    assert why(Repetition(), instruction("Q", answer)) == reason


def test_repetition_shows_the_most_frequent_and_its_share() -> None:
    found = Repetition(ngram=2).flaw(instruction("Q", "well done my friend " * 10))
    assert found is not None
    assert found.evidence == {"share": round(1 - 4 / 39, 3), "most": "well done", "times": 10}


@pytest.mark.parametrize(
    ("record", "flawed"),
    [
        (instruction("Q", " \n"), "empty_answer"),
        (instruction("Q", "?!"), "wordless_answer"),
        (instruction("Say it\nHello  you", "Hello you", labels={"input": "Hello you"}), "answer_is_input"),
        (instruction("Hello you", "Hello you"), "answer_is_input"),
        (instruction("Q\nNames:", "Ann", labels={"input": "Names:"}), "unfinished_input"),
        (instruction("Q", "The names are:"), "unfinished_answer"),
        (instruction("Q", "```python\nprint(1)\n"), "unfinished_answer"),
        (instruction("Q", "It rained. " + "and then the rain went on " * 10 + "unt"), "cut_off"),
        (instruction("Q", "It rained. " + "and then the rain went on " * 10 + "#rain"), None),
        (instruction("Q", "It rained. " + "\n- rain rain rain rain rain rain rain rain rain rain rain" * 9), None),
        (instruction("(A) is it?", "Yes."), "punctuation_start"),
        (instruction("Où est-il ?", "Là."), None),
        (instruction("été", "Oui."), "non_ascii_start"),
        (instruction("Q"), None),
        (instruction("", "Fine."), None),
    ],
)
def test_the_form_of_a_row(record: Record, flawed: str | None) -> None:
    every = Form(
        (
            "empty_answer",
            "wordless_answer",
            "answer_is_input",
            "unfinished_input",
            "unfinished_answer",
            "cut_off",
            "punctuation_start",
            "non_ascii_start",
        )
    )
    assert why(every, record) == flawed
    assert why(Form(()), record) is None


def test_tokens_are_those_of_the_model_s_tokenizer() -> None:
    pytest.importorskip("tokenizers")
    rule = Length(max_tokens=3, tokenizer="tiny-base")
    found = rule.flaw(instruction("Say seven words, one after the other."))
    assert found is not None
    assert found.why == "too_long"
    assert found.evidence["tokens"] > 3
    assert rule.flaw(instruction("Say")) is None
    with pytest.raises(ConfigError, match="/nowhere: no such folder"):
        Length(max_tokens=3, tokenizer="/nowhere").flaw(instruction("Say"))


@pytest.mark.parametrize("path", PRESETS, ids=lambda path: path.stem)
def test_every_preset_is_a_list_of_rules_that_names_its_source(path: Any) -> None:
    text = path.read_text()
    assert text.startswith("# What ")
    assert read_rules(text, path)


@given(st.text(alphabet=st.sampled_from("aB é.:(1\n") | st.characters(), max_size=40))
def test_the_self_instruct_preset_drops_the_tasks_that_the_generator_drops(task: str) -> None:
    path = assets.folder("seeds") / "rules" / "self_instruct.yaml"
    preset = read_rules(path.read_text(), path)
    task = " ".join((task + " a graph of words").split())
    kept = not any(rule.flaw(instruction(task)) for rule in preset)
    assert kept == (not flaw(task, 4, 150))


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("rules: [{rule: lenght}]", "lenght"),
        ("rules: [{rule: length, min_word: 3}]", "min_word"),
        ("rules: [{rule: keywords}]", "name words to drop"),
        ("rules: [{rule: length, max_tokens: 3}]", "need a tokenizer"),
        ("rules: [{rule: keywords, drop: ['']}]", "a keyword is empty"),
        ("rules: [", "not valid YAML"),
        ("- a", "Expected"),
    ],
)
def test_a_file_with_a_mistake_is_refused(text: str, message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        read_rules(text, "x.yaml")


@given(st.text(), st.text())
def test_no_text_breaks_a_rule(task: str, answer: str) -> None:
    for rule in (Length(max_words=3), Keywords(drop=("a", "好", "!!")), Repetition(min_words=2), Form()):
        rule.flaw(instruction(task, answer))


PIECES = st.sampled_from(
    ["a", "b", "c d e", "go", "go  to", "Graph", "ab", "é", "海", " ", "\n", "\u2028", "\x1c", ". "]
)
TEXTS = st.lists(PIECES, max_size=60).map("".join) | st.lists(PIECES, max_size=60).map(" ".join)
LIMITS = st.none() | st.integers(0, 12)


@given(TEXTS, LIMITS, LIMITS, LIMITS, LIMITS)
@example("a b c", None, 2, None, None)
@example(" a b ", 3, None, None, None)
def test_length_counts_every_word(
    text: str, min_words: int | None, max_words: int | None, min_chars: int | None, max_chars: int | None
) -> None:
    rule = Length(min_words=min_words, max_words=max_words, min_chars=min_chars, max_chars=max_chars)
    measured = [(len(text.split()), min_words, max_words), (len(text), min_chars, max_chars)]
    short = any(least is not None and count < least for count, least, _ in measured)
    long = any(most is not None and count > most for count, _, most in measured)
    assert (why(rule, instruction(text)) is None) == (not short and not long)


@given(TEXTS, st.integers(1, 6), st.floats(0, 1))
def test_repetition_is_the_share_of_all_ngrams(text: str, ngram: int, most: float) -> None:
    rule = Repetition(ngram=ngram, max_ngram_share=most, max_line_share=None, min_words=2, repeated_list=False)
    tokens = text.split() if len(text) < 12 * text.count(" ") else words(text)
    runs = [tuple(tokens[at : at + ngram]) for at in range(len(tokens) - ngram + 1)]
    share = 1 - len(set(runs)) / len(runs) if runs else 0
    is_measured = len(text) >= 4 and len(tokens) >= 2
    assert (why(rule, instruction("Q", text)) is not None) == (is_measured and share > most)


@given(TEXTS, st.booleans())
def test_the_first_keyword_of_the_text_is_found_wherever_it_stands(text: str, match_case: bool) -> None:
    listed = ("graph", "go to", "ab", "abgo*", "a*", "海", ". ")
    found = Keywords(drop=listed, match_case=match_case).flaw(instruction(text))
    alone = [Keywords(drop=(word,), match_case=match_case).flaw(instruction(text)) for word in listed]
    assert (found is not None) == any(alone)
    assert found is None or found.evidence["matched"] in {one.evidence["matched"] for one in alone if one}


@pytest.mark.parametrize("piece", ["1. ", "1. a\n", "\n1. ", "a ", "a\n", "draw", "好", "`"])
def test_half_a_million_characters_take_linear_time(piece: str) -> None:
    record = instruction(piece * (500_000 // len(piece)), piece * (500_000 // len(piece)))
    started = time.process_time()
    for rule in (Length(max_words=3), Keywords(drop=("draws", "go to")), Repetition(), Form()):
        rule.flaw(record)
    assert time.process_time() - started < 5
