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
_SPACE, _DIGIT, _SIGN, _OTHER = range(4)
SIGNS = b"+*/=<>^%"
"""The operators that are words wherever they stand."""
_KINDS = np.full(256, _OTHER)
_KINDS[32], _KINDS[48:58], _KINDS[list(SIGNS)] = _SPACE, _DIGIT, _SIGN


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
    """A hash of each piece: a run of digits, one sign, or a run of other bytes than spaces; their number."""
    pieces, last, value = 0, _SPACE, np.uint64(0)
    for byte in text:
        kind = _KINDS[byte]
        if last != _SPACE and (kind != last or kind == _SIGN):
            out[pieces] = _mixed(value)
            pieces += 1
            last = _SPACE
        if kind != _SPACE:
            value = ((value if kind == last else _GOLDEN) ^ np.uint64(byte)) * _MIX
        last = kind
    if last != _SPACE:
        out[pieces] = _mixed(value)
        pieces += 1
    return pieces


@compiled
def learn(text: Bytes, begins: Ints, ends: Ints, table: Words, sieve: Words) -> None:
    """Put spans of pieces into the table (open addressing, 0 is free) and the sieve (a Bloom filter of one hash)."""
    pieces = np.empty(len(text), np.uint64)
    piece_hashes(text, pieces)
    for span in range(len(begins)):
        value = np.uint64(0)
        for at in range(begins[span], ends[span]):
            value = value * _GOLDEN + pieces[at]
        value = _mixed(value + np.uint64(ends[span] - begins[span])) | np.uint64(1)
        bit = (value >> np.uint64(1)) & np.uint64(64 * len(sieve) - 1)
        sieve[np.int64(bit >> np.uint64(6))] |= np.uint64(1) << (bit & np.uint64(63))
        slot = np.int64(value >> np.uint64(20)) & (len(table) - 1)
        while table[slot] and table[slot] != value:
            slot = (slot + 1) & (len(table) - 1)
        table[slot] = value


@compiled
def _knows(pieces: Words, length: int, table: Words, sieve: Words) -> bool:
    """Whether a run of that many pieces is in the table."""
    value, top, bits = np.uint64(0), np.uint64(1), np.uint64(64 * len(sieve) - 1)
    for _ in range(length):
        top *= _GOLDEN
    for at in range(len(pieces)):
        value = value * _GOLDEN + pieces[at]
        if at >= length:
            value -= top * pieces[at - length]
        if at >= length - 1:
            found = _mixed(value + np.uint64(length)) | np.uint64(1)
            bit = (found >> np.uint64(1)) & bits
            if (sieve[np.int64(bit >> np.uint64(6))] >> (bit & np.uint64(63))) & np.uint64(1):
                slot = np.int64(found >> np.uint64(20)) & (len(table) - 1)
                while table[slot]:
                    if table[slot] == found:
                        return True
                    slot = (slot + 1) & (len(table) - 1)
    return False


@compiled
def suspects(text: Bytes, ends: Ints, table: Words, sieve: Words, lengths: Ints, out: npt.NDArray[np.bool_]) -> None:
    """Which texts share a run of pieces, of one of the lengths, with the table, or have no piece at all."""
    for number in range(len(ends)):
        one = text[ends[number - 1] if number else 0 : ends[number]]
        pieces = np.empty(len(one), np.uint64)
        found = pieces[: piece_hashes(one, pieces)]
        out[number] = len(found) == 0
        for length in lengths:
            if not out[number] and length <= len(found):
                out[number] = length == 0 or _knows(found, length, table, sieve)
