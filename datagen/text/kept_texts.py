"""Texts that were kept, each with its id and source, on disk: only a dropped row asks for one, as its evidence."""

from __future__ import annotations

import json
import os
import tempfile
from array import array
from typing import NamedTuple

import msgspec


class Kept(NamedTuple):
    """A text, the id of its row, and the row's source where it is not of the stream itself."""

    text: str
    id: str
    source: str


class KeptTexts:
    """By number, in the order of adding. Holds 8 bytes for each; the file has no name and goes with the process."""

    def __init__(self) -> None:
        self._file = tempfile.TemporaryFile()  # noqa: SIM115
        self._ends = array("q", [0])
        self._on_disk = 0

    def close(self) -> None:
        """Give the disk its room back."""
        self._file.close()

    def append(self, text: str, id: str, source: str = "") -> None:
        """Add one."""
        try:
            line = msgspec.json.encode((text, id, source))
        except UnicodeEncodeError:  # lone surrogates, which UTF-8 cannot hold
            line = json.dumps((text, id, source)).encode()
        self._file.write(line)
        self._ends.append(self._ends[-1] + len(line))

    def __getitem__(self, at: int) -> Kept:
        begin, end = self._ends[at], self._ends[at + 1]
        if end > self._on_disk:
            self._file.flush()
            self._on_disk = self._ends[-1]
        return Kept(*json.loads(os.pread(self._file.fileno(), end - begin, begin)))
