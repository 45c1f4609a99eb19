"""Peak memory since a moment of our choice (where Linux can set it back), and fewer searches for lost cycles."""

from __future__ import annotations

import gc
import resource
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

_SET_BACK, _STATUS = Path("/proc/self/clear_refs"), Path("/proc/self/status")
_NEW_OBJECTS = 20_000
_UNIT = 2**20 if sys.platform == "darwin" else 2**10  # of ru_maxrss, in bytes and in KiB


def forget_peak() -> None:
    """The peak starts again from what is resident now, where the system can do that."""
    try:
        _SET_BACK.write_text("5")
    except OSError:
        return


def peak_mb() -> int:
    """The most that was resident since ``forget_peak``, in MiB; elsewhere than on Linux, since the process began."""
    try:
        peak = next(line for line in _STATUS.read_text().splitlines() if line.startswith("VmHWM"))
    except (OSError, StopIteration):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // _UNIT
    return int(peak.split()[1]) // 1024


@contextmanager
def seldom_searched() -> Iterator[None]:
    """Python looks for garbage in cycles only each 20,000 new objects, and not among those that are there already.

    Thousands of records under way are no garbage, and looking through them again and again took a third of a run's CPU.
    """
    before = gc.get_threshold()
    gc.freeze()
    gc.set_threshold(_NEW_OBJECTS, 50, 100)
    try:
        yield
    finally:
        gc.set_threshold(*before)
        gc.unfreeze()
