"""Runs of the command line in processes of their own, that can be interrupted and killed."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
from pathlib import Path
from typing import Any

import toy
import yaml

import datagen

TESTS = Path(toy.__file__).parent
SOURCE = Path(datagen.__file__).parent.parent
"""The checkout that these tests are of, whatever is installed."""


def write_pipeline(folder: Path, **settings: Any) -> Path:
    """The toy pipeline as a file; its back end logs requests to ``folder / "requests"``."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "toy.yaml"
    path.write_text(yaml.safe_dump(toy.pipeline(log=str(folder / "requests"), **settings), sort_keys=False))
    return path


def start(folder: Path, *words: str, **options: Any) -> subprocess.Popen[str]:
    """``datagen`` with these words, in the folder."""
    environment = {**os.environ, "PYTHONPATH": f"{TESTS}{os.pathsep}{SOURCE}", "OMP_NUM_THREADS": "1"}
    command = [sys.executable, "-m", "datagen.cli", *words]
    prepare = options.pop("preexec_fn", None)

    def prepared() -> None:
        signal.signal(signal.SIGINT, signal.SIG_DFL)  # a background job of a shell hands down that it is ignored
        if prepare:
            prepare()

    given = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
    return subprocess.Popen(command, cwd=folder, env=environment, text=True, preexec_fn=prepared, **given)


def finish(process: subprocess.Popen[str]) -> tuple[int, list[str]]:
    """Exit code and the lines on stderr."""
    _, errors = process.communicate(timeout=120)
    return process.returncode, errors.splitlines()


def run(folder: Path, *words: str, **options: Any) -> tuple[int, list[str]]:
    """Start and wait."""
    return finish(start(folder, *words, **options))


def requests(folder: Path) -> list[str]:
    """The requests that reached the back end so far."""
    path = folder / "requests"
    return path.read_text().splitlines() if path.exists() else []


def wait_for_requests(folder: Path, count: int, process: subprocess.Popen[str]) -> None:
    """Until the back end has had so many, or the process is done."""
    deadline = time.monotonic() + 60
    while len(requests(folder)) < count and process.poll() is None and time.monotonic() < deadline:
        time.sleep(0.002)


def data(folder: Path, name: str = "toy") -> dict[str, bytes]:
    """The data files of the run, by stage."""
    stages = sorted((folder / "runs" / name).glob("*/stage.json"))
    files = [stage.with_name(name) for stage in stages for name in ("rows.jsonl", "dropped.jsonl")]
    return {f"{path.parent.name.rpartition('-')[0]}/{path.name}": path.read_bytes() for path in files if path.exists()}
