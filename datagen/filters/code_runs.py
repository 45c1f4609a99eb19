"""Drop answers whose Python does not compile, does not run, or fails its tests."""

from __future__ import annotations

import os
from collections import deque
from collections.abc import Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any, Literal

from datagen.errors import ConfigError, StageError
from datagen.record import Record
from datagen.text.code_blocks import python_code, syntax_error
from datagen.text.sandbox import Limits, Outcome, run_python, why_not_shut_in

Mode = Literal["compiles", "runs", "passes"]


def check(arguments: dict[str, Any]) -> None:
    """Raises ``ConfigError`` for limits that are none, and where code cannot be shut in and may not run otherwise."""
    for name in ("cpu_s", "wall_s", "memory_mib", "concurrency"):
        if (given := arguments[name]) is not None and given <= 0:
            raise ConfigError(f"code_runs: {name}: {given} is no limit; it is above 0")
    if arguments["mode"] != "compiles" and not arguments["unguarded"] and (why := why_not_shut_in()):
        raise ConfigError(
            f"code_runs: here code cannot be kept from the network and your files ({why}); run it where user "
            "namespaces are allowed, or set unguarded: true to go by limits of time, memory and file size alone"
        )


def code_runs(
    records: Iterable[Record],
    *,
    mode: Mode = "compiles",
    tests: str = "tests",
    of: Literal["fenced", "answer"] = "fenced",
    keep_without: bool = False,
    cpu_s: int = 5,
    wall_s: float = 30.0,
    memory_mib: int = 1024,
    concurrency: int | None = None,
    unguarded: bool = False,
) -> Iterator[Record]:
    """Rows whose first answer's Python ``compiles`` (nothing is run), ``runs`` to its end, its own asserts included, or
    ``passes`` the row's ``tests``: a label with code, or a list of such, that runs after it in the same module.

    The code is the answer's fenced blocks in their order, marked as Python or unmarked (``of: answer``: all of it).
    Reasons: ``no_code`` (unless ``keep_without``), ``syntax``, ``timeout``, ``memory``, ``error``, ``no_tests``,
    ``bad_tests``; the evidence is the last line and the end of stderr. Where there are tests, code that leaves with
    ``exit()`` has failed.

    Running is for code that you would run in a container, not for an adversary's: on Linux it has no network, a
    read-only file system and limits, but it can READ your files and press on the kernel; ``datagen/text/sandbox.py``
    says it in full. Where the kernel permits no such walls, it runs only if ``unguarded``, and the evidence says so.
    Input is empty; ``concurrency`` programs run at once (null: one a core). Verdicts are as certain as the programs:
    one that draws lots, or takes nearly ``cpu_s``, may differ from run to run.
    """
    options = {"mode": mode, "cpu_s": cpu_s, "wall_s": wall_s, "memory_mib": memory_mib}
    check({**options, "concurrency": concurrency, "unguarded": unguarded})
    limits = Limits(cpu_s, wall_s, memory_mib, shut_in=mode != "compiles" and why_not_shut_in() is None)
    workers = concurrency or os.cpu_count() or 1
    pending: deque[tuple[Record, Future[Outcome] | None]] = deque()
    pool = ThreadPoolExecutor(workers, thread_name_prefix="code_runs")
    try:
        for record in records:
            code = record.answer.strip("\n") if of == "answer" else python_code(record.answer)
            judged, parts = _before_running(record, code or None, mode, tests, keep_without)
            name = "answer" if mode == "passes" else "__main__"
            pending.append((judged, pool.submit(run_python, parts, limits, name=name) if parts else None))
            if len(pending) > 4 * workers:
                yield _judged(*pending.popleft(), mode, limits)
        while pending:
            yield _judged(*pending.popleft(), mode, limits)
    finally:
        pool.shutdown(cancel_futures=True)


def _before_running(
    record: Record, code: str | None, mode: Mode, tests: str, keep_without: bool
) -> tuple[Record, list[str]]:
    """The record, dropped where that is clear at once, and what is to be run for it."""
    if code is None:
        return (record if keep_without else record.drop("code_runs:no_code", opening=record.answer[:200])), []
    if error := syntax_error(code):
        return record.drop("code_runs:syntax", error=error), []
    if mode == "compiles":
        return record, []
    if mode == "runs":
        return record, [code]
    given = record.labels.get(tests)
    listed = [given] if isinstance(given, str) else given
    if not listed or not isinstance(listed, list) or not all(isinstance(one, str) for one in listed):
        return record.drop("code_runs:no_tests", label=tests), []
    if error := syntax_error("\n".join(listed)):
        return record.drop("code_runs:bad_tests", error=error), []
    return record, [code, "\n".join(listed)]


def _judged(record: Record, running: Future[Outcome] | None, mode: Mode, limits: Limits) -> Record:
    if running is None:
        return record
    try:
        ending, last_line, stderr = running.result()
    except OSError as error:
        raise StageError(f"code_runs: a program could not be started: {error}") from error
    if ending == "end" or (ending == "exit" and mode == "runs"):
        return record
    unguarded = {} if limits.shut_in else {"unguarded": ["network", "files", "processes"]}
    if ending == "exit":
        return record.drop("code_runs:error", error="it left before its tests", stderr=stderr, **unguarded)
    return record.drop(f"code_runs:{ending}", error=last_line, stderr=stderr, **unguarded)
