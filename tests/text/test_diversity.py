from __future__ import annotations

import random

import pytest

from datagen.record import Answer, Message, Record, instruction
from datagen.text import diversity
from datagen.text.diversity import distinct, measure, nearest, quantiles, verb_noun
from datagen.text.lcs import rouge_l


@pytest.mark.parametrize(
    ("text", "pair"),
    [
        ("Write a short story about the sea.", ("write", "story")),
        ("Please give me three tips for staying healthy.", ("give", "tips")),
        ("Generate a list of ten items", ("generate", "list")),
        ("TRANSLATE this sentence: the cat", ("translate", "sentence")),
        ("List 3 characteristics of an elephant.", ("list", "characteristics")),
        ("Compare the US system with the Indian one.", ("compare", "system")),
        ("Tell us that story again", ("tell", "again")),  # no tagger: an adverb stands where the noun might
        ("What is the capital of France?", None),
        ("Explain why the sky is blue.", None),
        ("In the list hen cherry peach what precedes peach?", None),
        ("The cat sat.", None),
        ("Stop", None),
        ("", None),
        ("!!! 42", None),
        ("写一个关于大海的短篇故事。", None),
    ],
)
def test_an_imperative_has_the_pair_of_its_verb_and_the_head_of_its_object(
    text: str, pair: tuple[str, str] | None
) -> None:
    assert verb_noun(text) == pair


def test_a_text_of_a_million_characters_is_looked_at_no_further_than_its_beginning() -> None:
    assert verb_noun("Write a poem, " + "x" * 10**6) == ("write", "poem")


def test_distinct_n_counts_n_grams_within_texts() -> None:
    tokens = [["a", "b", "a", "b"], ["a", "b"]]
    assert distinct(tokens, 1) == 2 / 6
    assert distinct(tokens, 2) == 2 / 4, "(a, b), (b, a); none from one text into the next"
    assert distinct(tokens, 5) == 0


def test_the_nearest_is_the_highest_rouge_l_to_any_other() -> None:
    rng = random.Random(0)
    tokens = [[rng.choice("abcdefgh") for _ in range(rng.randrange(1, 12))] for _ in range(40)]
    wanted = [
        max(rouge_l(one, other) for at, other in enumerate(tokens) if at != own) for own, one in enumerate(tokens)
    ]
    assert nearest(tokens, 40) == pytest.approx(wanted)
    assert nearest(tokens, 10) == pytest.approx(wanted[::4])


def test_a_text_without_words_and_a_text_alone_are_near_to_nothing() -> None:
    assert nearest([["a"], [], []], 9) == [0.0, 0.0, 0.0]
    assert nearest([["a"]], 9) == []
    assert nearest([], 9) == []


def test_quantiles_are_the_numbers_that_a_tenth_half_and_nine_tenths_do_not_exceed() -> None:
    assert quantiles(list(range(100, 0, -1))) == (10, 50, 90)
    assert quantiles([7]) == (7, 7, 7)
    assert quantiles([]) == ()


def test_a_set_is_measured_whole() -> None:
    rows = [
        instruction("Write a poem.", "one two"),
        instruction("Write a poem!", "one"),
        instruction("Name a colour.", None),
        Record((Message("user", "Écris un poème."),), (Answer("a"), Answer("b c d")), language="fr"),
        instruction("Name a colour.\nred", "x", labels={"instruction": "Name a colour.", "input": "red"}),
    ]
    found = measure(lambda step: rows[::step], len(rows))
    assert (found.rows, found.total, found.nearest_of) == (5, 5, 5)
    assert (found.verb_nouns, found.verb_noun_rows) == (2, 4), "French is not read as English"
    assert found.nearest_rouge == pytest.approx((1 + 1 + 1 + 0 + 1) / 5), "the task counts, not its input"
    assert found.distinct_1 == round(8 / 15, 4)
    assert (found.instruction_words, found.answer_words) == ((3, 3, 3), (1, 1, 3))


def test_of_many_rows_as_many_at_even_distances_are_measured(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(diversity, "MOST_ROWS", 4)
    rows = [instruction(f"Write poem{letter}.") for letter in "abcdefghij"]
    found = measure(lambda step: rows[::step], 10)
    assert (found.rows, found.total) == (4, 10)
    assert found.verb_nouns == 4


def test_no_rows_at_all_have_no_diversity() -> None:
    found = measure(lambda step: [], 0)
    assert (found.rows, found.distinct_1, found.nearest_rouge, found.instruction_words) == (0, 0.0, 0.0, ())
