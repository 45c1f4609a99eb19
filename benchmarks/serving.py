"""A server for a benchmark: ours (``latency_server.py``), or any program that takes a port and is told what to do."""

from __future__ import annotations

import json
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

OURS = Path(__file__).with_name("latency_server.py")


@contextmanager
def serving(program: str = "", *more: str, latency_s: float) -> Iterator[str]:
    """The base URL of a server; ``program`` takes ``--port`` and ``--delay-ms``, and is ours where it is empty."""
    with socket.socket() as listener:
        listener.bind(("127.0.0.1", 0))
        port = listener.getsockname()[1]
    ours = [sys.executable, str(OURS), str(port), "--latency", str(latency_s), *more]
    given = [program, "--port", str(port), "--delay-ms", str(1000 * latency_s), *more]
    process = subprocess.Popen(given if program else ours, stdout=subprocess.DEVNULL)
    url = f"http://127.0.0.1:{port}/v1"
    try:
        _wait_for(url, process)
        yield url
    finally:
        process.terminate()
        process.wait()


def _wait_for(url: str, process: subprocess.Popen[bytes]) -> None:
    deadline = time.monotonic() + 30
    while True:
        assert process.poll() is None, "the server ended at once"
        try:
            requests(url)
            return
        except urllib.error.URLError:
            assert time.monotonic() < deadline, "the server does not answer"
            time.sleep(0.02)


def requests(url: str) -> tuple[int, int]:
    """How many requests the server has had so far, and how many different ones."""
    found = stats(url)
    return found["requests"], found.get("unique", found.get("different"))


def stats(url: str) -> dict[str, Any]:
    """All that the server says of itself."""
    with urllib.request.urlopen(url.replace("/v1", "/stats")) as response:
        found: dict[str, Any] = json.load(response)
    return found
