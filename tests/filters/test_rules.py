"""The filters that ask no LLM: length, exact and ROUGE-L duplicates, contamination."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from datagen.filters.decontaminate import decontaminate
from datagen.filters.dedup_exact import dedup_exact
from datagen.filters.dedup_rouge import dedup_rouge
from datagen.filters.length import length
from datagen.record import Record, instruction
from datagen.sources.jsonl import jsonl

needs_data = pytest.mark.skipif(
    "DATAGEN_TEST_DATA" not in os.environ, reason="set DATAGEN_TEST_DATA to the data folder"
)


def reasons(records: list[Record]) -> list[str | None]:
    return [record.dropped.reason if record.dropped else None for record in records]


def test_length_keeps_what_is_within_both_limits() -> None:
    records = [instruction("Q", text) for text in ("one", "one two", "one two three")]
    found = list(length(records, of="answer", min_words=2, max_chars=8))
    assert reasons(found) == ["length:too_short", None, "length:too_long"]
    assert found[0].dropped is not None
    assert found[0].dropped.evidence == {"words": 1, "chars": 3}


def test_length_of_the_instruction_and_of_a_missing_answer() -> None:
    record = instruction("one two")
    assert reasons(list(length([record], min_words=2))) == [None]
    assert reasons(list(length([record], of="answer", min_words=1))) == ["length:too_short"]


def test_an_exact_duplicate_names_the_first() -> None:
    records = [
        instruction("What is 3 + 4?", "7"),
        instruction("what is 3 + 4", "8"),
        instruction("What is 3 - 4?", "-1"),
    ]
    found = list(dedup_exact(records))
    assert reasons(found) == [None, "dedup_exact:duplicate", None]
    assert found[1].dropped is not None
    assert found[1].dropped.evidence == {"first": records[0].id}
    assert reasons(list(dedup_exact(records, scope="all"))) == [None] * 3


def test_a_similar_task_names_its_neighbour() -> None:
    records = [instruction("Name three colours of the rainbow."), instruction("Name four colours of the rainbow.")]
    found = list(dedup_rouge(records))
    assert reasons(found) == [None, "dedup_rouge:similar"]
    assert found[1].dropped is not None
    assert found[1].dropped.evidence == {
        "similarity": 10 / 12,
        "neighbour": "Name three colours of the rainbow.",
        "first": records[0].id,
    }


def test_similarity_at_the_threshold_is_kept_as_the_float_falls() -> None:
    seven, ten = "a b c d e f g", "a b c d e f g h i j"
    assert reasons(list(dedup_rouge(map(instruction, [ten, "a b c d e f g k l m"])))) == [None, None]
    assert reasons(list(dedup_rouge(map(instruction, [seven, "a b c d e f g k l m n o p"])))) == [
        None,
        "dedup_rouge:similar",
    ]


def test_a_dropped_task_is_no_neighbour_of_later_ones() -> None:
    chain = ["a b c d e f g h i j", "a b c d e f g h x y", "a b c d e f z w x y"]
    assert reasons(list(dedup_rouge(map(instruction, chain)))) == [None, "dedup_rouge:similar", None]


def test_inputs_of_one_task_stand_or_fall_together() -> None:
    def row(task: str, input: str) -> Record:
        return instruction(f"{task}\n{input}", labels={"instruction": task, "input": input})

    task, similar = "Give the opposite of the word.", "Give the opposite of the words."
    rows = [row(task, "hot"), row(task, "up"), row(task, "hot"), row(similar, "wet"), row(similar, "dry")]
    found = list(dedup_rouge(rows))
    dropped = "dedup_rouge:similar"
    assert reasons(found) == [None, None, dropped, dropped, dropped]


def test_other_scripts_are_compared_by_words() -> None:
    texts = ["写一首关于春天的诗", "写一首关于春天的歌"]
    assert reasons(list(dedup_rouge(map(instruction, texts)))) == [None, None]
    assert reasons(list(dedup_rouge(map(instruction, texts), tokens="words"))) == [None, "dedup_rouge:similar"]


BENCHMARK = [
    instruction("A train leaves at noon and travels sixty miles every hour. How far has it come by four?"),
    instruction("What is the capital of Peru?"),
    instruction("Sort:"),
]


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("what is the capital of peru", "decontaminate:same_prompt"),
        ("Please answer: What is the capital of Peru?", "decontaminate:ngram"),
        ("Once, a train leaves at noon and travels sixty miles every hour. How far is that", "decontaminate:ngram"),
        ("A train leaves at noon and travels far.", None),
        ("Sort: b a", None),
        ("sort", "decontaminate:same_prompt"),
        ("", None),
    ],
)
def test_what_a_benchmark_holds_is_dropped(text: str, reason: str | None) -> None:
    assert reasons(list(decontaminate([instruction(text)], against=BENCHMARK))) == [reason]


def test_shorter_ngrams_find_more_and_show_the_match() -> None:
    (found,) = decontaminate(
        [instruction("My train leaves at noon and travels sixty miles")], against=BENCHMARK, ngram=8
    )
    assert found.dropped is not None
    assert found.dropped.evidence["matched"] == "train leaves at noon and travels sixty miles"
    assert found.dropped.evidence["item"] == BENCHMARK[0].instruction


def test_rouge_finds_a_rewording() -> None:
    text = "What is the big capital of Peru?"
    assert reasons(list(decontaminate([instruction(text)], against=BENCHMARK))) == [None]
    assert reasons(list(decontaminate([instruction(text)], against=BENCHMARK, rouge=0.7))) == ["decontaminate:similar"]


@needs_data
@pytest.mark.slow
def test_alpaca_is_novel_throughout() -> None:
    alpaca = jsonl(path=Path(os.environ["DATAGEN_TEST_DATA"], "alpaca_52k/alpaca_data.json"))
    assert not any(record.dropped for record in dedup_rouge(alpaca))
