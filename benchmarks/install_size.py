"""Packages and megabytes of the light install (no torch), beside distilabel's, each in a fresh virtual environment.

Needs a package index. Run: .venv/bin/python benchmarks/install_size.py
"""

from __future__ import annotations

import subprocess
import sys
import tempfile
from pathlib import Path

HERE = Path(__file__).parent.parent


def measure(target: str) -> tuple[int, float]:
    with tempfile.TemporaryDirectory() as folder:
        subprocess.run([sys.executable, "-m", "venv", folder], check=True)
        pip = [f"{folder}/bin/python", "-m", "pip", "--quiet", "--disable-pip-version-check"]
        before = _megabytes(Path(folder))
        subprocess.run([*pip, "install", target], check=True, stderr=subprocess.DEVNULL)
        listed = subprocess.run([*pip, "freeze"], check=True, capture_output=True, text=True, stdin=None).stdout
        return len(listed.splitlines()), _megabytes(Path(folder)) - before


def _megabytes(folder: Path) -> float:
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6


def main() -> None:
    sizes = {name: measure(target) for name, target in (("datagen", str(HERE)), ("distilabel", "distilabel[openai]"))}
    for name, (packages, megabytes) in sizes.items():
        print(f"{name:<12} {packages:3} packages  {megabytes:6.0f} MB")
    packages, megabytes = (ours / theirs for ours, theirs in zip(*sizes.values(), strict=True))
    print(f"ratio        {packages:.2f} packages  {megabytes:.2f} MB")


if __name__ == "__main__":
    main()
