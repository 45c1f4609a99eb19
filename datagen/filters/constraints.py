"""Drop answers that break an instruction which a program can check: IFEval's twenty-five (arXiv 2311.07911)."""

from __future__ import annotations

from collections.abc import Iterable

from datagen.record import Record
from datagen.stage import EachAlone
from datagen.text.constraints import Strictness, follows, read_constraints


def constraints(
    records: Iterable[Record],
    *,
    ids: str = "instruction_id_list",
    arguments: str = "kwargs",
    strictness: Strictness = "strict",
) -> EachAlone:
    """Rows whose first answer follows every instruction in the row's labels ``ids`` and ``arguments``, which are
    IFEval's own; a row without such labels has nothing to break and stays.

    ``loose`` tries the answer without asterisks, without its first and without its last line as well, as the paper does
    against false alarms. Reasons: ``not_followed`` (the evidence names which, of how many), ``unreadable`` for labels
    that are not IFEval's. Languages need the extra ``language``.
    """
    for record in records:
        if ids not in record.labels:
            yield record
            continue
        try:
            asked = read_constraints(record.labels[ids], record.labels.get(arguments))
        except ValueError as error:
            yield record.drop("constraints:unreadable", error=str(error)[:300])
            continue
        broken = [one for one in asked if not follows(record.answer, one, strictness)]
        if broken:
            failed = [{"id": one.id, "arguments": one.arguments} for one in broken]
            yield record.drop("constraints:not_followed", failed=failed, of=len(asked))
        else:
            yield record
