"""The machine-code part of ``screen.py``, by numba."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypeVar

import numba
import numpy as np
import numpy.typing as npt

F = TypeVar("F", bound=Callable[..., Any])
Bytes = npt.NDArray[np.uint8]
Ints = npt.NDArray[np.int64]
Words = npt.NDArray[np.uint64]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX = np.uint64(0xD6E8FEB86659FD93)


def compiled(function: F) -> F:
    """Compiled at its first call, and kept on disk for the next process."""
    done: F = numba.njit(cache=True, error_model="numpy", nogil=True)(function)
    return done


@compiled
def _mixed(value: np.uint64) -> Any:
    value = (value ^ (value >> np.uint64(32))) * _MIX
    return value ^ (value >> np.uint64(29))


@compiled
def piece_hashes(text: Bytes, out: Words) -> int:
    """A hash of each piece: a run of digits, or a run of other bytes than spaces; their number."""
    pieces, last, value = 0, 0, np.uint64(0)
    for byte in text:
        kind = 0 if byte == 32 else 1 if 48 <= byte <= 57 else 2
        if last and kind != last:
            out[pieces] = _mixed(value)
            pieces += 1
        if kind:
            value = ((value if kind == last else _GOLDEN) ^ np.uint64(byte)) * _MIX
        last = kind
    if last:
        out[pieces] = _mixed(value)
        pieces += 1
    return pieces


@compiled
def learn(text: Bytes, begins: Ints, ends: Ints, table: Words, lengths: Ints) -> None:
    """Put the spans of pieces into the table (open addressing, 0 is free), and note how long they are."""
    pieces = np.empty(len(text), np.uint64)
    piece_hashes(text, pieces)
    for span in range(len(begins)):
        value, length = np.uint64(0), ends[span] - begins[span]
        for at in range(begins[span], ends[span]):
            value = value * _GOLDEN + pieces[at]
        value = _mixed(value + np.uint64(length)) | np.uint64(1)
        slot = np.int64(value >> np.uint64(20)) & (len(table) - 1)
        while table[slot] and table[slot] != value:
            slot = (slot + 1) & (len(table) - 1)
        table[slot] = value
        lengths[length] = 1


@compiled
def _knows(pieces: Words, length: int, table: Words) -> bool:
    """Whether a run of that many pieces is in the table."""
    value, top = np.uint64(0), np.uint64(1)
    for _ in range(length):
        top *= _GOLDEN
    for at in range(len(pieces)):
        value = value * _GOLDEN + pieces[at]
        if at >= length:
            value -= top * pieces[at - length]
        if at >= length - 1:
            found = _mixed(value + np.uint64(length)) | np.uint64(1)
            slot = np.int64(found >> np.uint64(20)) & (len(table) - 1)
            while table[slot]:
                if table[slot] == found:
                    return True
                slot = (slot + 1) & (len(table) - 1)
    return False


@compiled
def suspects(text: Bytes, ends: Ints, table: Words, lengths: Ints, out: npt.NDArray[np.bool_]) -> None:
    """Which texts share a run of pieces with the table, or have no piece at all."""
    for number in range(len(ends)):
        one = text[ends[number - 1] if number else 0 : ends[number]]
        pieces = np.empty(len(one), np.uint64)
        found = pieces[: piece_hashes(one, pieces)]
        out[number] = len(found) == 0 or lengths[0] != 0
        for length in range(1, len(lengths)):
            if not out[number] and lengths[length] and length <= len(found):
                out[number] = _knows(found, length, table)
