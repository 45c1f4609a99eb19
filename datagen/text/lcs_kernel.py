"""The machine-code part of the ROUGE-L novelty pool, by numba; ``rouge_numba.py`` owns the arrays and grows them.

A text is an array of token ids. Its elements are (token, how often seen before in the text). F >= t of texts of n and m
tokens needs a common subsequence, hence an overlap of elements, of at least t(n + m)/2. In the order of falling ids
("first seen last", near enough to "rarest first", and it never changes as the pool grows) two such texts share an
element at positions i and j with min(n - i, m - j) >= t(n + m)/2: the prefix filter (Chaudhuri et al., ICDE 2006) with
PPJoin's positions (Xiao et al., WWW 2008). Postings hang on hashes of elements; two elements in one slot cost time
only. What shares an element is then held against parity bitmaps of the elements, whose Hamming distance cannot exceed
the symmetric difference, n + m - 2 overlap. What is left gets its LCS, bit-parallel (Hyyrö 2004), and the float of
``rouge_score``. Where the postings would be longer than the pool (few words, long texts), every row is looked at.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, TypeVar

import numba
import numpy as np
import numpy.typing as npt
from numba.extending import intrinsic

F = TypeVar("F", bound=Callable[..., Any])
Ints = npt.NDArray[np.int64]
Words = npt.NDArray[np.uint64]

WIDEST = 128
"""Words of the widest bitmap; a text's own has 4, or a power of two that gives each token at least 4 bits."""
MARGIN = 1e-9
ROWS, TOKENS, WIDE, ENTRIES, QUERY, FULL = range(6)
"""What ``State.fill`` counts: rows, tokens, words of bitmaps and entries in use, queries so far; and whether a row's
postings did not fit, so that all rows must be inserted again with more room before the next search."""

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX = np.uint64(0xD6E8FEB86659FD93)


class State(NamedTuple):
    """The pool, and room to work in. Rows, postings and vocabulary have capacities of their own."""

    fill: Ints
    tokens: npt.NDArray[np.int32]
    start: Ints
    length: npt.NDArray[np.int32]
    narrow: Words
    wide: Words
    wide_at: Ints
    stamp: Ints
    slots: Ints
    """(slots, 3): where a slot's postings begin, how many there are, and for how many there is room."""
    entries: npt.NDArray[np.int32]
    """(entries, 3): row, its length, position of the element in it."""
    narrows: Words
    """The row's narrow bitmap once more with each entry: a look at the row would cost a cache miss."""
    counts: npt.NDArray[np.int32]
    mask: Words
    bitmap: Words
    """The query's bitmaps: that of w words (a power of two up to ``WIDEST``) begins at w."""
    hit_row: Ints
    hit_lcs: Ints


def compiled(function: F) -> F:
    """Compiled at its first call, and kept on disk for the next process."""
    done: F = numba.njit(cache=True, error_model="numpy", nogil=True)(function)
    return done


@intrinsic  # type: ignore[untyped-decorator]
def _popcount(context: Any, x: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.ctpop(arguments[0])

    return numba.types.int64(x), generate


@compiled
def _int(number: Any) -> Any:
    return np.int64(number)


@compiled
def f_measure(lcs: int, n: int, m: int) -> float:
    """The float that ``rouge_score`` gives for an LCS above 0."""
    precision, recall = lcs / n, lcs / m
    return 2 * precision * recall / (precision + recall)


@compiled
def _hash(key: int) -> np.uint64:
    mixed = np.uint64(key) * _GOLDEN
    mixed = (mixed ^ (mixed >> np.uint64(32))) * _MIX
    return mixed ^ (mixed >> np.uint64(29))


@compiled
def bitmap_words(n: int) -> int:
    """Words of the bitmap of a text of n tokens."""
    words = 4
    while words < WIDEST and words * 16 < n:
        words *= 2
    return words


@compiled
def _prepare(state: State, ids: Ints) -> Ints:
    """The elements of a text in the order of the prefix filter; its bitmaps go to ``state.bitmap``."""
    keys = np.empty(len(ids), np.int64)
    bitmap = state.bitmap
    bitmap[:] = 0
    for at, token in enumerate(ids):
        keys[at] = (_int(token) << 32) | _int(state.counts[token])
        state.counts[token] += 1
        bit = _hash(keys[at]) & np.uint64(WIDEST * 64 - 1)
        bitmap[WIDEST + _int(bit >> np.uint64(6))] ^= np.uint64(1) << (bit & np.uint64(63))
    for token in ids:
        state.counts[token] = 0
    words = WIDEST // 2
    while words:
        for i in range(words):
            bitmap[words + i] = bitmap[2 * words + i] ^ bitmap[3 * words + i]
        words //= 2
    _sort_down(keys)
    return keys


@compiled
def _sort_down(keys: Ints) -> None:
    """Shell sort: most texts are short, and numba takes seconds to compile its own sort."""
    gap = 1
    while gap < len(keys) // 3:
        gap = 3 * gap + 1
    while gap:
        for i in range(gap, len(keys)):
            key, j = keys[i], i
            while j >= gap and keys[j - gap] < key:
                keys[j] = keys[j - gap]
                j -= gap
            keys[j] = key
        gap //= 3


@compiled
def _slot(state: State, key: int) -> int:
    slot: int = _int(_hash(key) >> np.uint64(20)) & (len(state.slots) - 1)
    return slot


@compiled
def _prefix(n: int, threshold: float) -> int:
    """How many elements can be the first that a text of n shares with a similar one, however long that is."""
    least = max(1.0, np.ceil(n * threshold / (2 - threshold) - MARGIN))
    return max(0, n - int(least) + 1)


@compiled
def _bound(state: State, row: int, n: int) -> int:
    """At least twice the overlap of elements of the query, of n tokens, with a row."""
    m = _int(state.length[row])
    words, first, distance = bitmap_words(m), state.wide_at[row], 0
    for i in range(words):
        distance += _popcount(state.wide[first + i] ^ state.bitmap[words + i])
    bound: int = n + m - distance
    return bound


@compiled
def lcs_of_row(state: State, ids: Ints, row: int) -> int:
    """Longest common subsequence with a row, 64 tokens of the query at a time, carries kept for each of the row's."""
    n, first, m = len(ids), state.start[row], _int(state.length[row])
    carry = np.zeros(m if n > 64 else 0, np.uint64)
    zero, one, total = np.uint64(0), np.uint64(1), 0
    for block in range(0, n, 64):
        end = min(block + 64, n)
        for i in range(block, end):
            state.mask[ids[i]] |= one << np.uint64(i - block)
        rest = ~zero
        for j in range(m):
            matches = rest & state.mask[state.tokens[first + j]]
            summed = rest + matches
            if n > 64:
                over = np.uint64(summed < rest)
                summed += carry[j]
                carry[j] = over | np.uint64(summed < carry[j])
            rest = summed | (rest ^ matches)
        used = ~zero >> np.uint64(64 - (end - block))
        total += _popcount(~rest & used)
        for i in range(block, end):
            state.mask[ids[i]] = zero
    return total


@compiled
def _may(n: int, m: int, i: int, j: int, differ: np.uint64, threshold: float) -> bool:
    """Whether texts of n and m tokens can reach the threshold, by where they first meet and narrow bitmaps.

    One comparison, nearly always false: a processor that guesses branches hardly notices it.
    """
    may: bool = min(2 * min(n - i, m - j), n + m - _popcount(differ)) >= threshold * (n + m) - 2 * MARGIN
    return may


@compiled
def _try(state: State, ids: Ints, row: int, threshold: float, hits: int) -> int:
    """Add a row to the hits if its F reaches the threshold; their number then."""
    n, m = len(ids), _int(state.length[row])
    if _bound(state, row, n) < threshold * (n + m) - 2 * MARGIN:
        return hits
    lcs = lcs_of_row(state, ids, row)
    if lcs and f_measure(lcs, n, m) >= threshold:
        state.hit_row[hits], state.hit_lcs[hits] = row, lcs
        hits += 1
    return hits


@compiled
def _search(state: State, ids: Ints, keys: Ints, threshold: float) -> int:
    """Rows and LCS of all that reach the threshold go to ``state.hit_*``, in no order; their number."""
    n, rows, hits, visits = len(ids), state.fill[ROWS], 0, 0
    prefix, narrow = _prefix(n, threshold), state.bitmap[1]
    for i in range(prefix):
        visits += state.slots[_slot(state, keys[i]), 1]
    if visits > rows:
        for row in range(rows):
            if _may(n, _int(state.length[row]), 0, 0, state.narrow[row] ^ narrow, threshold):
                hits = _try(state, ids, row, threshold, hits)
        return hits
    state.fill[QUERY] += 1
    for i in range(prefix):
        slot = _slot(state, keys[i])
        first = state.slots[slot, 0]
        for at in range(first, first + state.slots[slot, 1]):
            m, j = _int(state.entries[at, 1]), _int(state.entries[at, 2])
            if _may(n, m, i, j, state.narrows[at] ^ narrow, threshold):
                row = _int(state.entries[at, 0])
                if state.stamp[row] != state.fill[QUERY]:
                    state.stamp[row] = state.fill[QUERY]
                    hits = _try(state, ids, row, threshold, hits)
    return hits


@compiled
def _has_room(state: State, n: int) -> bool:
    """Whether a row of n tokens fits, its postings aside."""
    rows, tokens, words = state.fill[ROWS], state.fill[TOKENS] + n, state.fill[WIDE] + bitmap_words(n)
    room: bool = rows < len(state.start) and tokens <= len(state.tokens) and words <= len(state.wide)
    return room and not state.fill[FULL]


@compiled
def _insert(state: State, ids: Ints, keys: Ints, threshold: float) -> None:
    """Add a text that was just prepared, and for which there is room."""
    n, row, first, words = len(ids), state.fill[ROWS], state.fill[TOKENS], bitmap_words(len(ids))
    state.start[row], state.length[row], state.narrow[row] = first, n, state.bitmap[1]
    state.wide_at[row] = state.fill[WIDE]
    for i in range(n):
        state.tokens[first + i] = ids[i]
    for i in range(words):
        state.wide[state.fill[WIDE] + i] = state.bitmap[words + i]
    for i in range(_prefix(n, threshold)):
        slot = _slot(state, keys[i])
        at = _free_entry(state, slot)
        if at < 0:
            state.fill[FULL] = 1
            break
        state.entries[at, 0], state.entries[at, 1], state.entries[at, 2] = row, n, i
        state.narrows[at] = state.bitmap[1]
        state.slots[slot, 1] += 1
    state.fill[ROWS] += 1
    state.fill[TOKENS] += n
    state.fill[WIDE] += words


@compiled
def _free_entry(state: State, slot: int) -> int:
    """The place of a slot's next posting, -1 if there is none; a full slot moves to twice the room at the end."""
    first, size, room = state.slots[slot, 0], state.slots[slot, 1], state.slots[slot, 2]
    if size == room:
        moved, bigger = state.fill[ENTRIES], 2 * room + 2
        if moved + bigger > len(state.entries):
            return -1
        for i in range(size):
            state.narrows[moved + i] = state.narrows[first + i]
            for k in range(3):
                state.entries[moved + i, k] = state.entries[first + i, k]
        state.slots[slot, 0], state.slots[slot, 2], first = moved, bigger, moved
        state.fill[ENTRIES] += bigger
    free: int = first + size
    return free


@compiled
def search(state: State, ids: Ints, threshold: float) -> int:
    """Rows that reach the threshold with their LCS, into ``state.hit_*``; their number."""
    return _search(state, ids, _prepare(state, ids), threshold)


@compiled
def insert_all(state: State, flat: Ints, ends: Ints, at: int, threshold: float) -> int:
    """Add the texts from number ``at`` on; the number of the first that is still to be added, for want of room."""
    while at < len(ends):
        ids = flat[ends[at - 1] if at else 0 : ends[at]]
        keys = _prepare(state, ids)
        if not _has_room(state, len(ids)):
            break
        _insert(state, ids, keys, threshold)
        at += 1
    return at


@compiled
def admit_all(
    state: State, flat: Ints, ends: Ints, at: int, threshold: float, near: Ints, scores: npt.NDArray[np.float64]
) -> int:
    """Judge the texts from number ``at`` on in turn, and add each that is novel.

    ``near`` gets the row most similar to each, the first among equals, or -1 where F is nowhere above the threshold;
    ``scores`` its F. Gives back the number of the first that is still to be judged, for want of room.
    """
    while at < len(ends):
        ids = flat[ends[at - 1] if at else 0 : ends[at]]
        keys = _prepare(state, ids)
        if not _has_room(state, len(ids)):
            break
        near[at], scores[at] = -1, threshold
        for hit in range(_search(state, ids, keys, threshold)):
            row = state.hit_row[hit]
            score = f_measure(state.hit_lcs[hit], len(ids), _int(state.length[row]))
            if score > scores[at] or (score == scores[at] and row < near[at]):
                near[at], scores[at] = row, score
        if near[at] < 0:
            _insert(state, ids, keys, threshold)
        at += 1
    return at


@compiled
def closest(state: State, ids: Ints) -> tuple[int, float]:
    """The row of the highest F, the first among equals, and that F; -1 where nothing is shared."""
    _prepare(state, ids)
    n, best, top, narrow = len(ids), -1, 0.0, state.bitmap[1]
    for row in range(state.fill[ROWS]):
        m = _int(state.length[row])
        if not _may(n, m, 0, 0, state.narrow[row] ^ narrow, top) or _bound(state, row, n) < top * (n + m) - 2 * MARGIN:
            continue
        lcs = lcs_of_row(state, ids, row)
        if lcs and f_measure(lcs, n, m) > top:
            best, top = row, f_measure(lcs, n, m)
    return best, top
