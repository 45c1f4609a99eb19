from __future__ import annotations

from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from datagen import aside
from datagen.errors import ConfigError
from datagen.record import Record, instruction
from datagen.store import Result, StoredRows, Writer, write_result


def halving(records: Iterable[Record]) -> Iterator[Record]:
    """A stage that puts every second row aside."""
    for count, record in enumerate(records, 1):
        if count % 2:
            aside.put("odd", record)
        yield record


def test_what_is_put_aside_while_somebody_listens_comes_with_its_name() -> None:
    heard: list[tuple[str, str]] = []
    with aside.collecting(lambda part, record: heard.append((part, record.instruction))):
        assert aside.is_heard()
        list(halving(instruction(str(n)) for n in range(3)))
    assert heard == [("odd", "0"), ("odd", "2")]


def test_without_a_listener_nothing_is_kept_and_nothing_fails() -> None:
    assert not aside.is_heard()
    assert len(list(halving(instruction(str(n)) for n in range(3)))) == 3


def test_a_row_set_beside_the_rows_is_read_by_its_name_and_is_no_part_of_them(tmp_path: Path) -> None:
    writer = Writer(tmp_path)
    for n in range(4):
        writer.write(instruction(f"row {n}").labelled(split="train" if n else "test"))
    for n in range(3):
        writer.put("random", instruction(f"aside {n}").labelled(split="train"))
    writer.sync()
    writer.close()
    write_result(tmp_path, Result("graded", "filters.grade", "loop", [], kept=4, parts=dict(writer.parts)))
    assert [row.instruction for row in StoredRows(tmp_path, "random")] == ["aside 0", "aside 1", "aside 2"]
    assert len(StoredRows(tmp_path, "random")) == 3
    assert [row.instruction for row in StoredRows(tmp_path, "train")] == ["row 1", "row 2", "row 3"]
    assert len(list(StoredRows(tmp_path))) == len(StoredRows(tmp_path)) == 4
    with pytest.raises(ConfigError, match="it has: test, train, random"):
        StoredRows(tmp_path, "chance")
