"""Runs Python that nobody has read, in a process of its own with limits.

Always: no inherited environment, files or input; an empty working folder; limits on CPU seconds, address space, file
size and open files; the whole process group killed at a wall time; output thrown away but for the end of stderr.

On Linux where user namespaces may be made (``why_not_shut_in`` is None), as well: no network, not even the machine's
own; every file read-only and nothing kept but in a folder in memory of 32 MiB; processes of others neither seen nor
signalled; at most 64 processes (not for root, whom Linux exempts), all ended with the first.

It does NOT hide files: the code reads whatever the user may read, though it has nowhere to send it but its own stderr,
of which 4 kB are kept. It may speak to a Unix socket in the file system that the user may open (a container engine's,
say), heat the CPU within its limits, and attack the kernel. Its memory limit is per process. A program that sets out
to fake its verdict can. For code from an adversary use a virtual machine.
"""

from __future__ import annotations

import functools
import os
import secrets
import selectors
import signal
import subprocess
import sys
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Literal, NamedTuple

_CHILD = Path(__file__).with_name("sandbox_child.py")
_REACHED_END = 77
_TAIL = 4096
# Each part runs in the same namespace; that the end was reached is said by the status, since exit(0) says nothing.
_RUNNER = f"""
import os, sys
sys.argv, parts, here = [sys.argv[1]], sys.argv[3:], {{"__name__": sys.argv[2]}}
for part in parts:
    with open(part, encoding="utf-8") as file:
        text = file.read()
    exec(compile(text, os.path.basename(part), "exec", dont_inherit=True), here)
sys.exit({_REACHED_END})
"""

Ending = Literal["end", "exit", "timeout", "memory", "error"]


@dataclass(frozen=True)
class Limits:
    """``cpu_s`` and ``memory_mib`` are for each process; ``wall_s`` for all that the program starts."""

    cpu_s: int = 5
    wall_s: float = 30.0
    memory_mib: int = 1024
    shut_in: bool = True


class Outcome(NamedTuple):
    """``end``: ran to its last line; ``exit``: left before, with status 0. ``stderr`` is its last 4 kB."""

    ending: Ending
    last_line: str
    stderr: str


def run_python(parts: list[str], limits: Limits, *, name: str = "__main__") -> Outcome:
    """Run pieces of code one after another in one module called ``name``.

    Raises ``OSError`` where the process cannot be started, or cannot be shut in as ``limits`` ask.
    """
    with tempfile.TemporaryDirectory(prefix="datagen-code-", ignore_cleanup_errors=True) as folder:
        work = Path(folder, "work")
        work.mkdir()
        paths = [Path(folder, "answer.py" if at == 0 else f"test_{at}.py") for at in range(len(parts))]
        for path, part in zip(paths, parts, strict=True):
            path.write_bytes(part.encode("utf-8", "replace"))
        password = secrets.token_hex(8) if limits.shut_in else ""  # with which the program cannot speak for its walls
        python = [sys.executable, "-s", "-P", "-B", "-X", "utf8"]
        shut = [str(work), str(limits.cpu_s), str(limits.memory_mib), password]
        command = [*python, "-S", str(_CHILD), *shut, *python, "-c", _RUNNER, "answer.py", name, *map(str, paths)]
        status, stderr = _ended(command, work, limits.wall_s)
    if password and stderr.startswith(password):
        raise OSError(stderr.removeprefix(password).strip())
    return _outcome(status, stderr)


@functools.cache
def why_not_shut_in() -> str | None:
    """What this machine forbids, or None where code can be kept from network and files."""
    try:
        run_python([""], Limits(wall_s=60))
    except OSError as error:
        return str(error)
    return None


def _ended(command: list[str], work: Path, wall_s: float) -> tuple[int | None, str]:
    """The exit status (None: it ran past ``wall_s``) and the end of stderr."""
    environment = {
        "PATH": "/usr/bin:/bin",
        "LANG": "C.UTF-8",
        "HOME": str(work),
        "TMPDIR": str(work),
        "PYTHONHASHSEED": "0",
        "OMP_NUM_THREADS": "1",
        "OPENBLAS_NUM_THREADS": "1",
        "MPLBACKEND": "Agg",
    }
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=environment,
        cwd=work,
        start_new_session=True,
    )
    assert process.stderr is not None
    try:
        finished, tail = _tail(process, process.stderr.fileno(), time.monotonic() + wall_s)
    finally:
        _kill_group(process.pid)  # also what it left running behind it
        process.wait()
        process.stderr.close()
    return (process.returncode if finished else None), tail.decode("utf-8", "replace")


def _tail(process: subprocess.Popen[bytes], stderr: int, deadline: float) -> tuple[bool, bytes]:
    """Whether the process ended before ``deadline``, and the last of what it wrote."""
    tail = b""
    with selectors.DefaultSelector() as selector:
        selector.register(stderr, selectors.EVENT_READ)
        while (left := deadline - time.monotonic()) > 0:
            if selector.select(min(left, 0.2)):
                chunk = os.read(stderr, 1 << 16)
                if not chunk:
                    return _waited(process, deadline), tail
                tail = (tail + chunk)[-_TAIL:]
            elif process.poll() is not None:  # something that it left behind still holds the pipe
                return True, tail
    return False, tail


def _waited(process: subprocess.Popen[bytes], deadline: float) -> bool:
    try:
        process.wait(max(0.0, deadline - time.monotonic()))
    except subprocess.TimeoutExpired:
        return False
    return True


def _kill_group(group: int) -> None:
    try:
        os.killpg(group, signal.SIGKILL)
    except (ProcessLookupError, PermissionError):
        return


def _outcome(status: int | None, stderr: str) -> Outcome:
    lines = [line for line in stderr.splitlines() if line.strip()]
    last = lines[-1].strip()[:300] if lines else ""
    if status is None or status == -signal.SIGXCPU:
        return Outcome("timeout", "wall time" if status is None else "CPU time", stderr)
    if status in (0, _REACHED_END):
        return Outcome("end" if status else "exit", "", stderr)
    if status == -signal.SIGKILL:
        return Outcome("memory", "killed by the system", stderr)
    if last.partition(":")[0].endswith("MemoryError"):
        return Outcome("memory", last, stderr)
    if status < 0:
        return Outcome("error", f"died of {signal.Signals(-status).name}", stderr)
    return Outcome("error", last or f"exit status {status}", stderr)
