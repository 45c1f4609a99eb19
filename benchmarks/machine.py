"""What a benchmark's numbers depend on: CPU seconds by the kernel's count, and whether other work shares the cores."""

from __future__ import annotations

import os
import resource
import sys

_IDLE_LOAD = 0.5


def cpu_s() -> float:
    """User and system time of this process, all of its threads."""
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


def peak_mb() -> int:
    """The most memory that this process ever had resident."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss // (2**20 if sys.platform == "darwin" else 2**10)


def warn_if_busy() -> None:
    load, cores = os.getloadavg()[0], os.cpu_count()
    if load > _IDLE_LOAD:
        print(f"WARNING: load {load:.1f} on {cores} cores before it began: times are too long, CPU too", flush=True)
