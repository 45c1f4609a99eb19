"""Seconds until `datagen --help` is printed, beside an empty Python and TRL's command line; median of 11, in turn.

Run: .venv/bin/python benchmarks/startup.py
"""

from __future__ import annotations

import statistics
import subprocess
import sys
import time
from pathlib import Path

BIN = Path(sys.executable).parent
COMMANDS = {
    "python -c pass": [sys.executable, "-c", "pass"],
    "datagen --help": [str(BIN / "datagen"), "--help"],
    "trl --help": [str(BIN / "trl"), "--help"],
}


def main() -> None:
    times: dict[str, list[float]] = {name: [] for name in COMMANDS}
    for _ in range(11):
        for name, command in COMMANDS.items():
            if name.startswith("trl") and len(times[name]) == 3:
                continue
            started = time.perf_counter()
            subprocess.run(command, check=True, capture_output=True)
            times[name].append(time.perf_counter() - started)
    medians = {name: statistics.median(values) for name, values in times.items()}
    for name, median in medians.items():
        print(f"{name:<16} {1000 * median:6.0f} ms")
    print(f"trl / datagen    {medians['trl --help'] / medians['datagen --help']:.1f}")


if __name__ == "__main__":
    main()
