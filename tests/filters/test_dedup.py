"""What the dedup filters share: which of several similar rows stays, other data sets, blocks."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from datagen import findings
from datagen.errors import ConfigError
from datagen.filters import duplicates
from datagen.filters.clusters import Clusters
from datagen.filters.dedup_exact import dedup_exact
from datagen.filters.dedup_ngram import dedup_ngram
from datagen.filters.dedup_rouge import dedup_rouge
from datagen.plugins import load_stage
from datagen.record import Answer, Record, encode, instruction
from datagen.text.kept_texts import KeptTexts

Filter = Callable[..., Iterator[Record]]
_NGRAM: Filter = functools.partial(dedup_ngram, scope="instruction")
FILTERS: list[Filter] = [dedup_exact, dedup_rouge, _NGRAM, functools.partial(_NGRAM, search="minhash")]
every_filter = pytest.mark.parametrize("dedup", FILTERS, ids=["exact", "rouge", "ngram", "minhash"])

QUESTION = "Name three colours of the rainbow, please."


def kept(records: Iterator[Record]) -> list[str]:
    return [record.answer for record in records if not record.dropped]


def graded(answer: str, *scores: float) -> Record:
    return instruction(QUESTION).with_answers(
        [Answer(answer, scores={f"score{at}": score for at, score in enumerate(scores)})]
    )


@every_filter
@pytest.mark.parametrize(("keep", "stays"), [("first", "a"), ("longest", "long"), ("best-scored", "c")])
def test_keep_says_which_of_similar_rows_stays(dedup: Filter, keep: str, stays: str) -> None:
    rows = [graded("a"), graded("long", 1.0), graded("b", 3.0, 3.0), graded("c", 2.0, 5.0), graded("d", 2.0, 5.0)]
    found = list(dedup(rows, keep=keep))
    assert kept(iter(found)) == [stays]
    assert [record.id for record in found] == [record.id for record in rows]
    winner = next(record for record in found if not record.dropped)
    assert all(r.dropped.evidence["first"] == winner.id for r in found if r.dropped)


@every_filter
@pytest.mark.parametrize("keep", ["first", "longest", "best-scored"])
def test_what_another_data_set_holds_is_dropped_and_that_set_never_comes_out(dedup: Filter, keep: str) -> None:
    rows = [instruction("Sort the numbers from one to ten.", "1"), instruction(QUESTION, "x" * 99)]
    held = instruction(QUESTION, "red", source="exam")
    found = list(dedup(rows, keep=keep, against=[held, held]))
    assert kept(iter(found)) == ["1"]
    assert found[1].dropped is not None
    assert found[1].dropped.evidence["first"] == held.id
    assert len(found) == 2


def test_similar_rows_of_the_other_data_set_all_count() -> None:
    held = [instruction("a b c d e f g h i j"), instruction("a b c d e f g h x y")]
    (found,) = dedup_rouge([instruction("q r c d e f g h x y")], against=held)
    assert found.dropped is not None
    assert found.dropped.evidence == {
        "similarity": pytest.approx(0.8),
        "neighbour": held[1].instruction,
        "first": held[1].id,
        "source": "against",
    }


@every_filter
def test_an_answer_can_be_what_is_compared(dedup: Filter) -> None:
    answer = "The answer is as long as it has to be, and no longer."
    rows = [instruction("One?", answer), instruction("Two!", answer), instruction("Two!", "Something else entirely.")]
    assert [bool(r.dropped) for r in dedup(rows, scope="answer")] == [False, True, False]
    assert [bool(r.dropped) for r in dedup(rows, scope="instruction")] == [False, False, True]


@pytest.mark.parametrize("block", [1, 2, 3, 1000])
def test_blocks_change_no_decision(block: int, monkeypatch: pytest.MonkeyPatch) -> None:
    def row(task: str, input: str) -> Record:
        return instruction(f"{task}\n{input}", labels={"instruction": task, "input": input})

    tasks = ["Give the opposite of the word.", "Give the opposite of the words.", "Sort the words.", "文", ""]
    rows = [row(task, input) for input in ("hot", "up", "hot") for task in tasks]
    monkeypatch.setattr(duplicates, "_BLOCK", block)
    found = list(dedup_rouge(rows))
    reference: dict[str, Any] = {"kept": ["Give the opposite of the word.", "Sort the words.", "文", ""]}
    first = [(r.labels["instruction"] in reference["kept"]) for r in rows[:10]]
    # At their third appearance the rows are whole copies: they go, but for texts that ROUGE cannot see.
    last = [r.labels["instruction"] in ("文", "") for r in rows[10:]]
    assert [r.dropped is None for r in found] == first + last
    assert b"".join(map(encode, found)) == b"".join(map(encode, dedup_rouge(rows)))


def test_rows_of_a_cluster_name_the_row_that_stayed() -> None:
    words = ["one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"]
    rows = [instruction(" ".join([*words, word])) for word in ("a", "b", "c")]
    found = list(dedup_ngram([*rows, instruction("Something else.")], threshold=0.7))
    assert [r.dropped.evidence["first"] if r.dropped else None for r in found] == [None, rows[0].id, rows[0].id, None]
    assert found[1].dropped is not None
    assert found[1].dropped.evidence["similarity"] == 6 / 8
    assert found[1].dropped.evidence["neighbour"].startswith(rows[0].instruction)


@every_filter
def test_clusters_are_counted_and_the_largest_named(dedup: Filter, caplog: pytest.LogCaptureFixture) -> None:
    other = "Sort the numbers from one to ten, then add them up."
    rows = [*(instruction(QUESTION, f"{at}") for at in range(4)), *(instruction(other, f"{at}") for at in range(2))]
    with caplog.at_level("INFO", logger="datagen"):
        list(dedup(rows))
    assert f"4 rows in 2 clusters, each around the row they name; the largest: 3 around {rows[0].id}" in caplog.text


@every_filter
def test_the_report_holds_clusters_by_size_and_the_largest(dedup: Filter) -> None:
    other = "Sort the numbers from one to ten, then add them up."
    third = "Write\ta poem of two lines about the sea and about nothing else."
    rows = [*(instruction(QUESTION, f"{at}") for at in range(5)), *(instruction(other, f"{at}") for at in range(2))]
    rows += [*(instruction(third, f"{at}") for at in range(3)), instruction("Where is the moon?", "Up.")]
    with findings.collecting() as found:
        judged = list(dedup(rows))
    assert found == {
        "clusters": 3,
        "rows_in_clusters": 10,
        "2 to 3 rows": {"clusters": 2, "rows": 5},
        "4 to 7 rows": {"clusters": 1, "rows": 5},
        "largest 1": {"rows": 5, "first": rows[0].id, "begins": QUESTION},
        "largest 2": {"rows": 3, "first": rows[7].id, "begins": "Write a poem of two lines about the"},
        "largest 3": {"rows": 2, "first": rows[5].id, "begins": "Sort the numbers from one to ten, then"},
    }
    stayed = {record.id for record in judged if record.dropped is None}
    assert all(record.dropped.evidence["first"] in stayed for record in judged if record.dropped)


def test_without_a_duplicate_no_clusters_are_reported() -> None:
    with findings.collecting() as found:
        list(dedup_exact([instruction("One?"), instruction("Two?")]))
    assert found == {}


def test_of_many_clusters_those_that_ended_largest_are_named() -> None:
    clusters = Clusters("x:y")
    for size in (2, 9, 4, 3, 7):
        for _ in range(size - 1):
            clusters.add(f"id{size}", f"text {size}")
    for _ in range(6):
        clusters.add("id3", "text 3")
    with findings.collecting() as found:
        clusters.report()
    assert [found[f"largest {at}"]["begins"] for at in (1, 2, 3)] == ["text 9", "text 3", "text 7"]


def test_kept_texts_come_back_as_they_were() -> None:
    kept, texts = KeptTexts(), ["", "two\nlines \0", "\ud800 文", "x" * 100_000]
    for at, text in enumerate(texts):
        kept.append(text, f"id{at}", "exam" if at else "")
        assert kept[at] == (text, f"id{at}", "exam" if at else "")
    assert [kept[at].text for at in (3, 0, 2)] == [texts[at] for at in (3, 0, 2)]
    kept.close()


def test_impossible_settings_are_refused_before_any_work() -> None:
    with pytest.raises(ConfigError, match="at most 1"):
        load_stage("filters.dedup_ngram").check({"threshold": 2, "unit": "word", "ngram": 5, "search": "exact"})
    with pytest.raises(ConfigError, match="at most 1, not 70"):
        load_stage("filters.dedup_rouge").check({"threshold": 70})
