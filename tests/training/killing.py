"""Trainings in processes of their own, killed on the way."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import psutil

from datagen.record import Record, encode

_SCRIPT = """
import asyncio, json, random, sys
from pathlib import Path
from datagen.plugins import load_stage
from datagen.record import read_records
name, rows, out, options = sys.argv[1:]
stage = load_stage("training." + name).function
asyncio.run(stage(list(read_records(Path(rows))), Path(out), rng=random.Random(0), **json.loads(options)))
"""


def training(name: str, rows: Sequence[Record], out: Path, **options: Any) -> list[str]:
    """The command that runs a training stage on these rows."""
    data = out.parent / "rows.jsonl"
    data.write_bytes(b"".join(encode(row) + b"\n" for row in rows))
    return [sys.executable, "-c", _SCRIPT, name, str(data), str(out), json.dumps(options)]


def interrupt(command: list[str], out: Path, *, after: int, kill_parent: bool) -> int:
    """Start a training, kill -9 it (or its worker) once a checkpoint of ``after`` steps is complete; its step."""
    with subprocess.Popen(command, stderr=subprocess.PIPE, text=True) as parent:
        step = _wait_for_checkpoint(out / "checkpoints", after, parent)
        (worker,) = psutil.Process(parent.pid).children()
        os.kill(parent.pid if kill_parent else worker.pid, signal.SIGKILL)
        _, errors = parent.communicate(timeout=60)
        psutil.wait_procs([worker], timeout=20)
        assert not worker.is_running(), "a worker must not outlive its parent"
    if not kill_parent:
        assert "killed by signal 9" in errors
        assert "the same command goes on" in errors
    return step


def _wait_for_checkpoint(folder: Path, after: int, parent: subprocess.Popen[str]) -> int:
    deadline = time.monotonic() + 300
    while time.monotonic() < deadline:
        assert parent.poll() is None, "training ended before it could be killed"
        states = folder.glob("checkpoint-*/trainer_state.json") if folder.is_dir() else ()
        steps = [int(state.parent.name.removeprefix("checkpoint-")) for state in states]
        if any(step >= after for step in steps):
            return max(steps)
        time.sleep(0.02)
    raise AssertionError("no checkpoint in five minutes")
