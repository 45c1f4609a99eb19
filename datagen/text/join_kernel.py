"""Similarity joins in machine code, by numba; ``join_index.py`` owns the arrays and grows them.

A row is a text as an array of token ids, compared by ROUGE-L F (``LISTS``), or a set of n-gram hashes, compared by
Jaccard (``SETS``). Its elements are (token, how often seen before in the text), or the hashes. F >= t of rows of n and
m elements needs a common subsequence, hence an overlap, of at least t(n + m)/2; Jaccard >= t needs an overlap of
t/(1 + t)(n + m), the same with 2t/(1 + t) for t: that is ``State.bound``. In any fixed order of elements two such rows
share one at positions i and j with min(n - i, m - j) >= bound(n + m)/2: the prefix filter (Chaudhuri et al., ICDE 2006)
with PPJoin's positions (Xiao et al., WWW 2008). The order is falling ids ("first seen last", near enough to "rarest
first", and it never changes as the pool grows), or falling hashes. Postings hang on hashes of elements; two elements in
one slot cost time only. What shares an element is then held against parity bitmaps of the elements, whose Hamming
distance cannot exceed the symmetric difference, n + m - 2 overlap. What is left is compared in full: by a bit-parallel
LCS (Hyyrö 2004) and the float of ``rouge_score``, or by merging. Where the postings would be longer than the pool (few
words, one template), every row is looked at. All in one file: numba's cache notices changes in a function's own file
only.
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
LISTS, SETS = range(2)

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX = np.uint64(0xD6E8FEB86659FD93)


class State(NamedTuple):
    """The pool, and room to work in. Rows, postings and vocabulary have capacities of their own."""

    kind: int
    bound: float
    """The least Dice coefficient of overlap; candidates are found by it, with a margin."""
    threshold: float
    """The least F, or Jaccard; rows are decided by it."""
    fill: Ints
    tokens: Ints
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
    hit_score: npt.NDArray[np.float64]


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
def _score(state: State, shared: int, n: int, m: int) -> float:
    return shared / (n + m - shared) if state.kind == SETS else f_measure(shared, n, m)


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
    keys = ids if state.kind == SETS else np.empty(len(ids), np.int64)
    bitmap = state.bitmap
    bitmap[:] = 0
    for at, token in enumerate(ids):
        if state.kind == LISTS:
            keys[at] = (_int(token) << 32) | _int(state.counts[token])
            state.counts[token] += 1
        bit = _hash(keys[at]) & np.uint64(WIDEST * 64 - 1)
        bitmap[WIDEST + _int(bit >> np.uint64(6))] ^= np.uint64(1) << (bit & np.uint64(63))
    if state.kind == LISTS:
        for token in ids:
            state.counts[token] = 0
        _sort_down(keys)
    words = WIDEST // 2
    while words:
        for i in range(words):
            bitmap[words + i] = bitmap[2 * words + i] ^ bitmap[3 * words + i]
        words //= 2
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
def _prefix(n: int, bound: float) -> int:
    """How many elements can be the first that a row of n shares with a similar one, however long that is."""
    least = max(1.0, np.ceil(n * bound / (2 - bound) - MARGIN))
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
def _shared(state: State, ids: Ints, row: int) -> int:
    """Elements in common with a row, in both falling."""
    at, end, i, shared = state.start[row], state.start[row] + _int(state.length[row]), 0, 0
    while at < end and i < len(ids):
        theirs, ours = state.tokens[at], ids[i]
        shared += theirs == ours
        at += theirs >= ours
        i += ours >= theirs
    return shared


@compiled
def _lcs(state: State, ids: Ints, row: int) -> int:
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
def _may(n: int, m: int, i: int, j: int, differ: np.uint64, bound: float) -> bool:
    """Whether rows of n and m elements can reach the bound, by where they first meet and narrow bitmaps.

    One comparison, nearly always false: a processor that guesses branches hardly notices it.
    """
    may: bool = min(2 * min(n - i, m - j), n + m - _popcount(differ)) >= bound * (n + m) - 2 * MARGIN
    return may


@compiled
def _try(state: State, ids: Ints, row: int, hits: int) -> int:
    """Add a row to the hits if it reaches the threshold; their number then."""
    n, m = len(ids), _int(state.length[row])
    if _bound(state, row, n) < state.bound * (n + m) - 2 * MARGIN:
        return hits
    shared = _shared(state, ids, row) if state.kind == SETS else _lcs(state, ids, row)
    if shared:
        score = _score(state, shared, n, m)
        if score >= state.threshold:
            state.hit_row[hits], state.hit_score[hits] = row, score
            hits += 1
    return hits


@compiled
def _search(state: State, ids: Ints, keys: Ints) -> int:
    """Rows and scores of all that reach the threshold go to ``state.hit_*``, in no order; their number."""
    n, rows, hits, visits = len(ids), state.fill[ROWS], 0, 0
    prefix, narrow, bound = _prefix(n, state.bound), state.bitmap[1], state.bound
    for i in range(prefix):
        visits += state.slots[_slot(state, keys[i]), 1]
    if visits > rows:
        for row in range(rows):
            if _may(n, _int(state.length[row]), 0, 0, state.narrow[row] ^ narrow, bound):
                hits = _try(state, ids, row, hits)
        return hits
    state.fill[QUERY] += 1
    for i in range(prefix):
        slot = _slot(state, keys[i])
        first = state.slots[slot, 0]
        for at in range(first, first + state.slots[slot, 1]):
            m, j = _int(state.entries[at, 1]), _int(state.entries[at, 2])
            if _may(n, m, i, j, state.narrows[at] ^ narrow, bound):
                row = _int(state.entries[at, 0])
                if state.stamp[row] != state.fill[QUERY]:
                    state.stamp[row] = state.fill[QUERY]
                    hits = _try(state, ids, row, hits)
    return hits


@compiled
def _has_room(state: State, n: int) -> bool:
    """Whether a row of n tokens fits, its postings aside."""
    rows, tokens, words = state.fill[ROWS], state.fill[TOKENS] + n, state.fill[WIDE] + bitmap_words(n)
    room: bool = rows < len(state.start) and tokens <= len(state.tokens) and words <= len(state.wide)
    return room and not state.fill[FULL]


@compiled
def _insert(state: State, ids: Ints, keys: Ints) -> None:
    """Add a text that was just prepared, and for which there is room."""
    n, row, first, words = len(ids), state.fill[ROWS], state.fill[TOKENS], bitmap_words(len(ids))
    state.start[row], state.length[row], state.narrow[row] = first, n, state.bitmap[1]
    state.wide_at[row] = state.fill[WIDE]
    for i in range(n):
        state.tokens[first + i] = ids[i]
    for i in range(words):
        state.wide[state.fill[WIDE] + i] = state.bitmap[words + i]
    for i in range(_prefix(n, state.bound)):
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
def search(state: State, ids: Ints) -> int:
    """All rows that reach the threshold, and their scores, into ``state.hit_*``; their number."""
    return _search(state, ids, _prepare(state, ids))


@compiled
def insert_all(state: State, flat: Ints, ends: Ints, at: int) -> int:
    """Add the rows from number ``at`` on; the number of the first that is still to be added, for want of room."""
    while at < len(ends):
        ids = flat[ends[at - 1] if at else 0 : ends[at]]
        if not _has_room(state, len(ids)):
            break
        _insert(state, ids, _prepare(state, ids))
        at += 1
    return at


@compiled
def admit_all(state: State, flat: Ints, ends: Ints, at: int, near: Ints, scores: npt.NDArray[np.float64]) -> int:
    """Judge the rows from number ``at`` on in turn, and add each that is novel.

    ``near`` gets the row most similar to each, the first among equals, or -1 if none is above the threshold (for sets:
    at or above it); ``scores`` its score. Gives back the number of the first still to be judged, for want of room.
    """
    while at < len(ends):
        ids = flat[ends[at - 1] if at else 0 : ends[at]]
        if not _has_room(state, len(ids)):
            break
        keys = _prepare(state, ids)
        near[at], scores[at] = -1, 0.0 if state.kind == SETS else state.threshold
        for hit in range(_search(state, ids, keys)):
            row, score = state.hit_row[hit], state.hit_score[hit]
            if score > scores[at] or (score == scores[at] and row < near[at]):
                near[at], scores[at] = row, score
        if near[at] < 0:
            _insert(state, ids, keys)
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
        shared = _lcs(state, ids, row)
        if shared and f_measure(shared, n, m) > top:
            best, top = row, f_measure(shared, n, m)
    return best, top


@compiled
def word_hashes(text: npt.NDArray[np.uint8], out: Ints) -> int:
    """A hash of each run of bytes other than spaces; their number."""
    words, inside, mixed = 0, False, np.uint64(0)
    for byte in text:
        if byte != 32:
            mixed = (mixed ^ np.uint64(byte)) * _MIX if inside else (_GOLDEN ^ np.uint64(byte)) * _MIX
            inside = True
        elif inside:
            out[words] = _int(_hash(_int(mixed)))
            words, inside = words + 1, False
    if inside:
        out[words] = _int(_hash(_int(mixed)))
        words += 1
    return words


@compiled
def ngram_sets(tokens: Ints, ends: Ints, size: int, flat: Ints, set_ends: Ints) -> None:
    """Hashes of the distinct runs of ``size`` tokens of each text, falling, into ``flat``; where each ends."""
    filled = 0
    for text in range(len(ends)):
        first, end = ends[text - 1] if text else 0, ends[text]
        last = max(end - size, first) if end > first else first - 1
        begin = filled
        for at in range(first, last + 1):
            mixed = np.uint64(0)
            for token in tokens[at : min(at + size, end)]:
                mixed = np.uint64(_hash(_int(mixed ^ np.uint64(token)) + 1))
            flat[filled] = _int(mixed)
            filled += 1
        _sort_down(flat[begin:filled])
        unique = begin
        for at in range(begin, filled):
            if at == begin or flat[at] != flat[unique - 1]:
                flat[unique] = flat[at]
                unique += 1
        set_ends[text] = filled = unique


@compiled
def word_ngram_sets(text: npt.NDArray[np.uint8], ends: Ints, size: int, flat: Ints, set_ends: Ints) -> None:
    """As ``ngram_sets``, of the words of texts; ``flat`` has room for every second byte and one more a text."""
    words, word_ends = np.empty(len(flat), np.int64), np.empty(len(ends), np.int64)
    filled = 0
    for at in range(len(ends)):
        filled += word_hashes(text[ends[at - 1] if at else 0 : ends[at]], words[filled:])
        word_ends[at] = filled
    ngram_sets(words, word_ends, size, flat, set_ends)
