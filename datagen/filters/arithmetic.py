"""Drop answers with a wrong sum in them, or with another result than the reference's."""

from __future__ import annotations

from collections.abc import Iterable

from datagen.record import Record
from datagen.stage import EachAlone
from datagen.text.final_answer import final_answer, same_answer
from datagen.text.sums import wrong_equations


def arithmetic(records: Iterable[Record], *, equations: bool = True, reference: str | None = None) -> EachAlone:
    """Rows whose first answer holds no wrong equation, and ends with what the label ``reference`` (if named) holds.

    Equations are reckoned in fractions, GSM8K's ``<<48/2=24>>`` as well; a result with decimals may be rounded or cut
    off at its last place, a whole one must be exact (``datagen/text/sums.py`` says what is read and what is not judged:
    an answer that it cannot read stays). The evidence is the wrong equations and what their left sides come to. The
    final answer is what follows ``####``, stands in ``\\boxed{}``, follows "answer is", or is the last number; where
    the label is missing, it is not compared.
    """
    for record in records:
        wrong = wrong_equations(record.answer) if equations else []
        if wrong:
            evidence = [{"equation": one.text, "comes_to": one.value} for one in wrong[:5]]
            yield record.drop("arithmetic:wrong_equation", wrong=evidence, count=len(wrong))
            continue
        expected = record.labels.get(reference) if reference else None
        if not isinstance(expected, str | int | float):
            yield record
        elif (found := final_answer(record.answer)) is None:
            yield record.drop("arithmetic:no_final_answer", expected=expected)
        elif same_answer(found, str(expected)):
            yield record
        else:
            yield record.drop("arithmetic:final_answer", found=found[:200], expected=expected)
