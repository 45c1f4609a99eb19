"""A run's last rows as one file, in the format that the next tool reads."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from datagen.record import encode, read_records
from datagen.runner import Outcome
from datagen.store import DROPPED, ROWS
from datagen.text import formats


def export(outcome: Outcome, output: Path, shape: str) -> Iterator[str]:
    """Write the kept rows of the last stage to ``output`` and all dropped ones beside it; yields lines to print."""
    output.parent.mkdir(parents=True, exist_ok=True)
    last = list(outcome.folders.values())[-1]
    kept = formats.write(output, read_records(last / ROWS), shape)
    yield f"wrote {kept:,} rows to {output} ({shape})"
    beside = output.with_name(f"{output.name.removesuffix(output.suffix)}.dropped.jsonl")
    count = 0
    with beside.open("wb") as file:
        for folder in outcome.folders.values():
            for record in read_records(folder / DROPPED) if (folder / DROPPED).is_file() else ():
                file.write(encode(record) + b"\n")
                count += 1
    if count:
        yield f"wrote {count:,} dropped rows, with reasons, to {beside}"
    else:
        beside.unlink()
