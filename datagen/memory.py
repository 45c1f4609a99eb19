"""Peak memory since a moment of our choice: Linux can set the peak back; elsewhere it is the whole process's."""

from __future__ import annotations

import resource
import sys
from pathlib import Path

_SET_BACK, _STATUS = Path("/proc/self/clear_refs"), Path("/proc/self/status")
_UNIT = 2**20 if sys.platform == "darwin" else 2**10  # of ru_maxrss, in bytes and in KiB


def forget_peak() -> None:
    """The peak starts again from what is resident now, where the system can do that."""
    try:
        _SET_BACK.write_text("5")
    except OSError:
        return


def peak_mb() -> int:
    """The most that was resident since ``forget_peak``, in MiB; without Linux, since the process began."""
    try:
        peak = next(line for line in _STATUS.read_text().splitlines() if line.startswith("VmHWM"))
    except (OSError, StopIteration):
        return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // _UNIT
    return int(peak.split()[1]) // 1024
