"""Drop rows whose form shows that something went wrong: no answer, the input given back, an unfinished answer."""

from __future__ import annotations

from collections.abc import Iterable

from datagen.record import Record
from datagen.stage import EachAlone
from datagen.text.rules import Flawed, Form

_USUAL = Form().without


def form(records: Iterable[Record], *, without: tuple[Flawed, ...] = _USUAL) -> EachAlone:
    """Rows that have none of the flaws ``without``; a row without any answer has no flaw of its answer.

    Of the answer: ``empty_answer``, ``wordless_answer`` (punctuation alone), ``answer_is_input``, ``unfinished_answer``
    (ends with a colon or within a code block), ``cut_off`` (long, and ends without punctuation within a long line: a
    guess). Of the rest: ``unfinished_input``, ``punctuation_start`` and ``non_ascii_start`` of the instruction.
    """
    rule = Form(without)
    for record in records:
        flaw = rule.flaw(record)
        yield record.drop(f"form:{flaw.why}", **flaw.evidence) if flaw else record
