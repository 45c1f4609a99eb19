"""The public calls: everything the command line does, from Python."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from datagen import config, runner
from datagen.llm.client import LLM
from datagen.llm.journal import Journal
from datagen.pipeline import Pipeline
from datagen.plugins import check_arguments, load_backend, load_stage, open_backend, parameters
from datagen.progress import Progress
from datagen.record import Record


def load(path: str | Path, overrides: Mapping[str, Any] | None = None, *, tiny: bool = False) -> Pipeline:
    """A checked pipeline. Raises ``ConfigError``."""
    return config.load(path, overrides, tiny=tiny)


def run(
    path: str | Path | Mapping[str, Any],
    overrides: Mapping[str, Any] | None = None,
    *,
    root: str | Path = "runs",
    progress: Progress | None = None,
    until: str | None = None,
    tiny: bool = False,
) -> runner.Outcome:
    """Run a pipeline file, a shipped pipeline by name, or a mapping of the same form; works in a notebook too.

    ``overrides`` are dotted keys: ``{"stages.tasks.count": 500}``. ``until`` names the last stage to run.
    ``tiny`` lays the file's ``tiny:`` section over it: the shipped models and small sizes.
    """
    pipeline = (
        config.build(dict(path), overrides, tiny=tiny)
        if isinstance(path, Mapping)
        else config.load(path, overrides, tiny=tiny)
    )
    work = runner.run_async(pipeline, root=Path(root), progress=progress, until=until)
    return _in_thread(work) if _loop_is_running() else asyncio.run(work)


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


def _in_thread(work: Coroutine[Any, Any, runner.Outcome]) -> runner.Outcome:
    """Run it on a loop of its own, beside the one that is running here; an interrupt stops it."""
    tasks: list[asyncio.Task[Any]] = []

    async def noted() -> runner.Outcome:
        tasks.extend(asyncio.all_tasks())
        return await work

    with ThreadPoolExecutor(1) as pool:
        future = pool.submit(asyncio.run, noted())
        try:
            return future.result()
        except KeyboardInterrupt:
            for task in tasks:
                task.get_loop().call_soon_threadsafe(task.cancel)
            raise


def _loop_is_running() -> bool:
    try:
        asyncio.get_running_loop()
    except RuntimeError:
        return False
    return True
