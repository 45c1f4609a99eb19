"""The processes that vLLM's engine runs in: found, ended, and kept from outliving this one."""

from __future__ import annotations

import multiprocessing
import subprocess
from contextlib import suppress
from typing import Any


def children(before: list[Any]) -> list[Any]:
    """This process's children that came since."""
    return [child for child in multiprocessing.active_children() if child not in before]


def kill(started: list[Any]) -> None:
    """End processes and their own children: a worker that outlives its engine complains at length."""
    import psutil

    for child in started:
        with suppress(psutil.Error):
            process = psutil.Process(child.pid)
            for one in (*process.children(recursive=True), process):
                one.kill()


def watch(started: list[Any]) -> subprocess.Popen[bytes]:
    """A process that ends the engine's as soon as this one is gone, even by kill -9: they do not notice by themselves,
    and keep the GPU's memory."""
    command = ["sh", "-c", 'cat; kill -9 "$@"', "sh", *(str(child.pid) for child in started)]
    nowhere = subprocess.DEVNULL
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=nowhere, stderr=nowhere, start_new_session=True)
