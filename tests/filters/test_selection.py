from __future__ import annotations

import random

import pytest

from datagen import aside
from datagen.filters.selection import Limits, Selection
from datagen.record import Record, instruction


def chosen(values: list[float | None], limits: Limits, rng: random.Random | None = None) -> list[bool]:
    """Which rows without answers were kept."""
    selection = Selection("stage", limits, rng)
    rows = [instruction(str(at)) for at in range(len(values))]
    found = [one for row, value in zip(rows, values, strict=True) for one in selection.take(row, value)]
    found += selection.rest()
    assert [row.id for row in found] == [row.id for row in rows]
    return [row.dropped is None for row in found]


@pytest.mark.parametrize("count", range(1, 12))
@pytest.mark.parametrize(("low", "high"), [(0.0, 0.25), (0.25, 0.75), (0.0, 0.1), (0.9, 1.0)])
def test_of_few_rows_as_well_a_window_by_rank_keeps_its_share(count: int, low: float, high: float) -> None:
    kept = chosen([float(at) for at in range(count)], Limits(share=high - low, skip=1 - high))
    assert sum(kept) == max(1, round((high - low) * count))


def test_the_control_is_drawn_of_rows_that_have_a_number_and_no_answer() -> None:
    drawn: list[Record] = []
    with aside.collecting(lambda _, record: drawn.append(record)):
        kept = chosen([1.0, 2.0, 3.0], Limits(least=2.0), random.Random(0))
    assert kept == [False, True, True]
    assert len(drawn) == 2
