"""The machine-code part of ``overlap_numba.py``: words, hashes of their runs, and which items hold them.

All in one file: numba's cache notices changes in a function's own file only.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import numpy.typing as npt

from datagen.text.machine_code import compiled

Bytes = npt.NDArray[np.uint8]
Ints = npt.NDArray[np.int64]
Small = npt.NDArray[np.int32]
Words = npt.NDArray[np.uint64]
Flags = npt.NDArray[np.bool_]

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX = np.uint64(0xD6E8FEB86659FD93)
_OTHER, _DIGIT, _LETTER, _LOW_LINE, _SIGN, _AT_TIMES = range(6)
_KINDS = np.full(256, _OTHER, np.uint8)
_KINDS[48:58], _KINDS[97:123], _KINDS[95], _KINDS[list(b"+*/=<>^%")] = _DIGIT, _LETTER, _LOW_LINE, _SIGN
_KINDS[list(b"!#-")] = _AT_TIMES


class Runs(NamedTuple):
    """The runs of all items, by hash. A position counts the words of all items from 0; a run goes by its first."""

    keys: Words
    """The hashes (open addressing, 0 is free)."""
    first: Small
    """Beside each key the first position of such a run; ``next`` leads on from there, and ends with -1."""
    next: Small
    sieve: Words
    """A Bloom filter of one hash: most runs of a text are unknown, and it fits the cache."""
    pairs: Words
    """The same of the first two words of all runs that are shorter than n: their sizes are many, and they are few."""
    item: Small
    """For each position its item."""
    starts: Ints
    """For each item its first position, and one more at the end."""
    sizes: Ints
    """For each item how many words its runs have; 0: none."""


class Marks(NamedTuple):
    """Room to work in: which text (they are numbered from 1) was last seen here, so that nothing is ever cleared."""

    now: Ints
    slot: Ints
    position: Ints
    item: Ints
    covered: Small
    touched: Small


@compiled
def _mixed(value: np.uint64) -> Any:
    value = (value ^ (value >> np.uint64(32))) * _MIX
    return value ^ (value >> np.uint64(29))


@compiled
def _kind(text: Bytes, at: int) -> int:
    kind: int = _KINDS[text[at]] if 0 <= at < len(text) else _OTHER
    return kind


@compiled
def _past(text: Bytes, at: int, last: int) -> int:
    """Where a run of characters ends, of kinds from ``_DIGIT`` to ``last``."""
    while at < len(text) and _OTHER < _KINDS[text[at]] <= last:
        at += 1
    return at


@compiled
def _word_end(text: Bytes, at: int) -> int:
    """Where the word that begins here ends; ``at`` itself where none begins. Lower-case ASCII; ``words.words``."""
    kind, byte = _kind(text, at), text[at]
    if kind == _DIGIT:
        digits = _past(text, at, _DIGIT)
        end = digits
        while end < len(text) and text[end] in (44, 46, 58) and _kind(text, end + 1) == _DIGIT:  # , . :
            end = _past(text, end + 1, _DIGIT)
        if end > digits:
            return end
    if _DIGIT <= kind <= _LOW_LINE:
        return _past(text, at, _LOW_LINE)
    before, after = _kind(text, at - 1), _kind(text, at + 1)
    if byte == 33:  # !
        if at + 1 < len(text) and text[at + 1] == 61:  # =
            return at + 2
        return at + (before == _DIGIT)
    if byte == 35:  # #
        return at + (_DIGIT <= before <= _LOW_LINE)
    if byte == 45:  # -
        return at + (before != _LETTER and after != _LETTER)
    return at + (kind == _SIGN)


@compiled
def _part_end(text: Bytes, at: int) -> int:
    """The same where the words are parted by zero bytes already."""
    while at < len(text) and text[at]:
        at += 1
    return at


@compiled
def word_hashes(text: Bytes, is_parted: bool, out: Words) -> int:
    """A hash of each word; their number."""
    count, at = 0, 0
    while at < len(text):
        kind = _KINDS[text[at]]
        if not is_parted and kind == _OTHER:
            at += 1
            continue
        if not is_parted and kind == _LETTER:  # nearly all words, in one go
            value = _GOLDEN
            while kind in (_LETTER, _DIGIT, _LOW_LINE):
                value = (value ^ np.uint64(text[at])) * _MIX
                at += 1
                kind = _KINDS[text[at]] if at < len(text) else _OTHER
            out[count] = _mixed(value)
            count += 1
            continue
        end = _part_end(text, at) if is_parted else _word_end(text, at)
        if end > at:
            value = _GOLDEN
            for i in range(at, end):
                value = (value ^ np.uint64(text[i])) * _MIX
            out[count] = _mixed(value)
            count += 1
        at = max(end, at + 1)
    return count


@compiled
def _whole(words: Words) -> Any:
    """A hash of all words; 0 where there are none."""
    value = np.uint64(0)
    for word in words:
        value = value * _GOLDEN + word
    return _mixed(value + np.uint64(len(words))) | np.uint64(1) if len(words) else np.uint64(0)


@compiled
def all_words(text: Bytes, ends: Ints, is_parted: Flags, out: Words, out_ends: Ints, wholes: Words) -> None:
    """The hashes of many texts' words, behind one another, and of each text as a whole."""
    count = 0
    for number in range(len(ends)):
        one = text[ends[number - 1] if number else 0 : ends[number]]
        found = word_hashes(one, is_parted[number], out[count:])
        wholes[number] = _whole(out[count : count + found])
        count += found
        out_ends[number] = count


@compiled
def _sift(key: np.uint64, sieve: Words) -> None:
    bit = (key >> np.uint64(1)) & np.uint64(64 * len(sieve) - 1)
    sieve[np.int64(bit >> np.uint64(6))] |= np.uint64(1) << (bit & np.uint64(63))


@compiled
def _may_hold(key: np.uint64, sieve: Words) -> bool:
    bit = (key >> np.uint64(1)) & np.uint64(64 * len(sieve) - 1)
    return bool((sieve[np.int64(bit >> np.uint64(6))] >> (bit & np.uint64(63))) & np.uint64(1))


@compiled
def learn(words: Words, ngram: int, runs: Runs) -> None:
    """Fill in the runs; from the last to the first, so that those of one hash stand in their order."""
    keys = runs.keys
    for item in range(len(runs.sizes) - 1, -1, -1):
        begin, end, size = runs.starts[item], runs.starts[item + 1], runs.sizes[item]
        for at in range(end - 1, begin - 1, -1):
            runs.item[at] = item
            if size == 0 or at + size > end:
                continue
            key = _whole(words[at : at + size])
            _sift(key, runs.sieve)
            if size < ngram:
                _sift(_whole(words[at : at + 2]), runs.pairs)
            slot = np.int64(key >> np.uint64(20)) & (len(keys) - 1)
            while keys[slot] and keys[slot] != key:
                slot = (slot + 1) & (len(keys) - 1)
            runs.next[at] = runs.first[slot] if keys[slot] else -1
            keys[slot], runs.first[slot] = key, at


@compiled
def _find(key: np.uint64, runs: Runs) -> int:
    """The slot of a run that is known, else -1."""
    slot = np.int64(key >> np.uint64(20)) & (len(runs.keys) - 1)
    while runs.keys[slot]:
        if runs.keys[slot] == key:
            return int(slot)
        slot = (slot + 1) & (len(runs.keys) - 1)
    return -1


@compiled
def _cover(slot: int, size: int, runs: Runs, marks: Marks, touched: int) -> int:
    """Mark the words of all runs of one hash in their items; how many items were touched so far."""
    now, at = marks.now[0], runs.first[slot]
    while at >= 0:
        item = runs.item[at]
        if runs.sizes[item] == size:  # a run of another size with this hash is a collision
            if marks.item[item] != now:
                marks.item[item], marks.covered[item], marks.touched[touched] = now, 0, item
                touched += 1
            for word in range(at, at + size):
                marks.covered[item] += marks.position[word] != now
                marks.position[word] = now
        at = runs.next[at]
    return touched


@compiled
def _seen(key: np.uint64, size: int, runs: Runs, marks: Marks, touched: int) -> int:
    """Take note of a run of the text; how many items were touched so far."""
    slot = _find(key, runs)
    if slot < 0 or marks.slot[slot] == marks.now[0]:
        return touched
    marks.slot[slot] = marks.now[0]
    return int(_cover(slot, size, runs, marks, touched))


@compiled
def _best(words: Words, ngram: int, short: Ints, runs: Runs, marks: Marks, coverage: float) -> int:
    """The item that is covered most, and above ``coverage``; the first among equals, -1 for none."""
    marks.now[0] += 1
    touched, value, top = 0, np.uint64(0), np.uint64(1)
    for _ in range(ngram):
        top *= _GOLDEN
    for at in range(len(words)):
        value = value * _GOLDEN + words[at]
        if at >= ngram:
            value -= top * words[at - ngram]
        if at >= ngram - 1:
            key = _mixed(value + np.uint64(ngram)) | np.uint64(1)
            if _may_hold(key, runs.sieve):
                touched = _seen(key, ngram, runs, marks, touched)
    for at in range(len(words) - 1 if len(short) else 0):
        if _may_hold(_mixed(words[at] * _GOLDEN + words[at + 1] + np.uint64(2)) | np.uint64(1), runs.pairs):
            for size in short:
                if at + size <= len(words):
                    touched = _seen(_whole(words[at : at + size]), size, runs, marks, touched)
    best, most = -1, coverage
    for item in marks.touched[:touched]:
        share = marks.covered[item] / (runs.starts[item + 1] - runs.starts[item])
        if share > most or (share == most and item < best):
            best, most = item, share
    return best


@compiled
def match(
    words: Words, ends: Ints, ngram: int, short: Ints, runs: Runs, marks: Marks, coverage: float, out: Ints
) -> None:
    """For each text, given as the hashes of its words, its best item or -1; ``short``: sizes of runs below ngram."""
    for number in range(len(ends)):
        begin = ends[number - 1] if number else 0
        out[number] = _best(words[begin : ends[number]], ngram, short, runs, marks, coverage)
