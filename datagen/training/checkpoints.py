"""Which checkpoint to go on from. ``trainer_state.json`` is written last; without it a folder is unfinished."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path

_NAME = re.compile(r"checkpoint-(\d+)")


def remove_incomplete(folder: Path) -> None:
    """Remove what a killed training left half written. Called before training starts, by one process."""
    for path in folder.glob("checkpoint-*"):
        if path.is_dir() and _NAME.fullmatch(path.name) and not _is_complete(path):
            shutil.rmtree(path)


def last_complete(folder: Path) -> Path | None:
    """The complete checkpoint with the most steps."""
    found = [path for path in folder.glob("checkpoint-*") if _NAME.fullmatch(path.name) and _is_complete(path)]
    return max(found, key=step_of, default=None)


def step_of(checkpoint: Path | None) -> int:
    """How many optimizer steps a checkpoint holds; 0 for none."""
    match = _NAME.fullmatch(checkpoint.name) if checkpoint else None
    return int(match.group(1)) if match else 0


def keep_until(log: Path, step: int) -> None:
    """Cut a log of JSON lines back to ``step``: later steps will be done again. A torn last line goes too."""
    if not log.is_file():
        return
    kept = []
    for line in log.read_text().splitlines(keepends=True):
        try:
            entry = json.loads(line)
        except json.JSONDecodeError:
            continue
        if entry["step"] <= step:
            kept.append(line)
    log.write_text("".join(kept))


def _is_complete(checkpoint: Path) -> bool:
    try:
        json.loads((checkpoint / "trainer_state.json").read_bytes())
    except (OSError, ValueError):
        return False
    return True
