from __future__ import annotations

from datagen.filters.refusal import refusal
from datagen.record import Answer, Message, Record, instruction

DECLINED = instruction("How do I bake bread?", "I'm sorry, but I can't help with that.")
NAMED = instruction("Which colour is best?", "As an AI, I don't have opinions. Many like blue.")
GOOD = instruction("How do I bake bread?", "Mix flour and water, let it rest, bake it.")


def reasons(records: list[Record]) -> list[str | None]:
    return [record.dropped.reason if record.dropped else None for record in records]


def test_refusals_are_dropped_by_kind_with_the_phrase() -> None:
    found = list(refusal([DECLINED, NAMED, GOOD, instruction("No answer")]))
    assert reasons(found) == ["refusal:full", "refusal:self_identification", None, None]
    assert found[0].dropped is not None
    assert found[0].dropped.evidence == {"matched": "sorry, but i cannot", "answer": 0, "opening": DECLINED.answer}


def test_only_the_kinds_asked_for_are_dropped() -> None:
    assert reasons(list(refusal([DECLINED, NAMED], kinds=("self_identification",)))) == [
        None,
        "refusal:self_identification",
    ]


def test_any_answer_that_refuses_costs_the_row_and_is_named() -> None:
    pair = Record((Message("user", "Q"),), (Answer(GOOD.answer), Answer(DECLINED.answer)))
    (found,) = refusal([pair])
    assert found.dropped is not None
    assert found.dropped.evidence["answer"] == 1
