"""The public calls: everything the command line does, from Python."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from datagen import config, runner
from datagen.llm.client import LLM
from datagen.llm.journal import Journal
from datagen.plugins import check_arguments, load_backend, load_stage, open_backend, parameters
from datagen.progress import Progress
from datagen.record import Record


def load(path: str, overrides: Mapping[str, Any] | None = None) -> config.Pipeline:
    """A checked pipeline. Raises ``ConfigError``."""
    return config.load(path, overrides)


def run(
    path: str | Mapping[str, Any],
    overrides: Mapping[str, Any] | None = None,
    *,
    root: str | Path = "runs",
    progress: Progress | None = None,
    until: str | None = None,
) -> runner.Outcome:
    """Run a pipeline file, a shipped pipeline by name, or a mapping of the same form; works in a notebook too.

    ``overrides`` are dotted keys: ``{"stages.tasks.count": 500}``. ``until`` names the last stage to run.
    """
    pipeline = config.load(path, overrides) if isinstance(path, str) else config.build(dict(path), overrides)
    if not _loop_is_running():
        return runner.run(pipeline, root=Path(root), progress=progress, until=until)
    box: list[runner.Outcome | BaseException] = []
    thread = threading.Thread(target=_into, args=(box, pipeline, Path(root), progress, until))
    thread.start()
    thread.join()
    if isinstance(box[0], BaseException):
        raise box[0]
    return box[0]


def read(path: str | Path) -> Iterator[Record]:
    """The records of a file in any format that ``sources.jsonl`` knows."""
    rows: Iterator[Record] = load_stage("sources.jsonl").function(path=Path(path))
    return rows


def open_llm(
    *, use: str, prompts: str = "", seed: int = 0, journal: str | Path = "runs/journal.sqlite", **arguments: Any
) -> LLM:
    """An LLM to hand to a stage function: ``open_llm(use="transformers", model="tiny-teacher", prompts="tiny")``."""
    sampling = arguments.pop("sampling", {})
    checked = check_arguments(f"open_llm({use})", parameters(load_backend(use)), arguments)
    return LLM(open_backend(use, checked), Journal(Path(journal)), pack=prompts, sampling=sampling, seed=seed)


def _into(box: list[Any], pipeline: config.Pipeline, root: Path, progress: Progress | None, until: str | None) -> None:
    try:
        box.append(runner.run(pipeline, root=root, progress=progress, until=until))
    except BaseException as error:  # noqa: BLE001 - carried to the caller's thread whole
        box.append(error)


def _loop_is_running() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
