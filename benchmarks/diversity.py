"""CPU seconds to measure the diversity of Alpaca's 52,002 rows from disk, and what it is.

Run: .venv/bin/python benchmarks/diversity.py alpaca_data.json
"""

from __future__ import annotations

import sys
import tempfile
import time
from functools import partial
from pathlib import Path

import datagen
from datagen.record import encode, read_records
from datagen.report.diversity import line
from datagen.text.diversity import measure


def main() -> None:
    rows = list(datagen.read(sys.argv[1]))
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "rows.jsonl"
        for n in (1_000, 10_000, len(rows)):
            path.write_bytes(b"".join(encode(row) + b"\n" for row in rows[:n]))
            started = time.process_time()
            found = measure(partial(read_records, path), n)
            print(f"{n:>6,} rows: {time.process_time() - started:.2f} s CPU; {line(found)}")


if __name__ == "__main__":
    main()
