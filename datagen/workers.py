"""Blocks of rows through several processes, verdicts in the order of the blocks.

The processes are programs of their own (`python -m datagen.workers`) that speak pickle with their parent alone: unlike
forks they are safe beside threads, and unlike `multiprocessing` they do not run the user's script again. What a process
cannot do, for whatever reason, the parent does itself, and so meets the error itself.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import pickle
import queue
import subprocess
import sys
from collections import deque
from collections.abc import Callable, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any, BinaryIO, cast

from datagen.blocks import Course, Verdict, judge_of
from datagen.memory import peak_mb

_ALONE = 16  # blocks, 8 MB of a file: what is shorter is done before a process has begun
_MOST = 8  # more than that wait for the one process that writes


def judged(
    course: Course, blocks: Iterator[Any], peaks: dict[int, int], *, alone: int = _ALONE, processes: int | None = None
) -> Generator[tuple[Any, list[Verdict]], None, None]:
    """Blocks with their verdicts, in order; ``peaks`` gets the peak memory of each process in MiB, by its id.

    The first blocks, ``alone``, are judged in this process, and all where there are no ``processes`` to be had.
    """
    judge = judge_of(course)
    for block in itertools.islice(blocks, alone):
        yield block, judge(block)
    first = list(itertools.islice(blocks, 1))
    order = _pickled(course) if first else None
    rest = itertools.chain(first, blocks)
    count = min(_processors(), _MOST) if processes is None else processes
    if order is None or count < 2:
        for block in rest:
            yield block, judge(block)
        return
    # Who stops early, by Ctrl-C or an error, ends the processes first: a thread waits for the answer of one.
    with ThreadPoolExecutor(count) as threads, _started(count, order) as idle:
        asked = ((block, threads.submit(_ask, idle, block, peaks)) for block in rest)
        pending = deque(itertools.islice(asked, 2 * count))
        while pending:
            block, future = pending.popleft()
            found = future.result()
            yield block, judge(block) if found is None else found
            pending.extend(itertools.islice(asked, 1))


_Idle = queue.SimpleQueue["subprocess.Popen[bytes]"]


@contextlib.contextmanager
def _started(count: int, order: bytes) -> Iterator[_Idle]:
    idle: _Idle = queue.SimpleQueue()
    # In a session of their own, so that Ctrl-C is the parent's alone; they end when their input does.
    processes = [
        subprocess.Popen(
            [sys.executable, "-m", __name__],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env={**os.environ, "PYTHONPATH": os.pathsep.join(filter(None, sys.path))},
            start_new_session=True,
        )
        for _ in range(count)
    ]
    try:
        for process in processes:
            with contextlib.suppress(OSError):
                _in(process).write(order)
            idle.put(process)
        yield idle
    finally:
        for process in processes:
            process.kill()
            with contextlib.suppress(OSError):
                _in(process).close()
            _out(process).close()
            process.wait()


def _ask(idle: _Idle, block: Any, peaks: dict[int, int]) -> list[Verdict] | None:
    """The verdicts of whichever process is free, or None where it has died."""
    process = idle.get()
    try:
        pickle.dump(block, _in(process), pickle.HIGHEST_PROTOCOL)
        _in(process).flush()
        verdicts: list[Verdict]
        verdicts, peaks[process.pid] = pickle.load(_out(process))
    except (EOFError, OSError, pickle.UnpicklingError):
        return None
    finally:
        idle.put(process)
    return verdicts


def _serve() -> None:
    """Answer blocks with verdicts until there are no more; what a filter prints does not come between."""
    asked, answers = sys.stdin.buffer, os.fdopen(os.dup(1), "wb")
    os.dup2(2, 1)
    judge = judge_of(pickle.load(asked))
    with contextlib.suppress(EOFError, BrokenPipeError):
        while True:
            verdicts = judge(pickle.load(asked))
            pickle.dump((verdicts, peak_mb()), answers, pickle.HIGHEST_PROTOCOL)
            answers.flush()


def _pickled(course: Course) -> bytes | None:
    """None for what cannot leave this process, such as a function made inside another."""
    try:
        return pickle.dumps(course, pickle.HIGHEST_PROTOCOL)
    except (pickle.PicklingError, AttributeError, TypeError):
        return None


def _processors() -> int:
    of_this: Callable[[int], set[int]] | None = getattr(os, "sched_getaffinity", None)  # not on every system
    return len(of_this(0)) if of_this else os.cpu_count() or 1


def _in(process: subprocess.Popen[bytes]) -> BinaryIO:
    return cast(BinaryIO, process.stdin)


def _out(process: subprocess.Popen[bytes]) -> BinaryIO:
    return cast(BinaryIO, process.stdout)


if __name__ == "__main__":
    _serve()
