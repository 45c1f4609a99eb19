"""Similarity joins in machine code, by numba; ``join_index.py`` owns the arrays and grows them.

A row is a text as an array of token ids, compared by ROUGE-L F (``LISTS``), or a set of n-gram hashes, compared by
Jaccard (``SETS``). Its elements are (token, how often seen before in the text), or the hashes. F >= t of rows of n and
m elements needs a common subsequence, hence an overlap, of at least t(n + m)/2; Jaccard >= t needs an overlap of
t/(1 + t)(n + m), the same with 2t/(1 + t) for t: that is ``State.bound``. In any fixed order of elements two such rows
share one at positions i and j with min(n - i, m - j) >= bound(n + m)/2: the prefix filter (Chaudhuri et al., ICDE 2006)
with PPJoin's positions (Xiao et al., WWW 2008). The order is rarest first, by frequencies that were counted when all
rows were last inserted; what is common to all, as a template's words, then stands where it is never looked up. Postings
hang on hashes of (element, class of length); two in one slot cost time only, and so does one key for two elements. What
shares an element is then held against parity bitmaps of the elements, whose Hamming distance cannot exceed the
symmetric difference, n + m - 2 overlap. What is left is compared in full: by a bit-parallel LCS (Hyyrö 2004) and the
float of ``rouge_score``, or by merging. Where the postings would be longer than the pool (few words), every row is
looked at. All in one file: numba's cache notices changes in a function's own file only. Hot functions take arrays,
since to pass a tuple of them counts a reference to each.
"""

from __future__ import annotations

from typing import Any, NamedTuple

import numba
import numpy as np
import numpy.typing as npt
from llvmlite import ir
from numba.core import cgutils
from numba.extending import intrinsic

from datagen.text.machine_code import compiled

Ints = npt.NDArray[np.int64]
Words = npt.NDArray[np.uint64]
Structs = npt.NDArray[np.void]

WIDEST = 128
"""Words of the widest bitmap; a text's own has 4, or a power of two that gives each token at least 8 bits."""
MARGIN = 1e-9
ROWS, TOKENS, WIDE, ENTRIES, QUERY, FULL = range(6)
"""What ``State.fill`` counts: rows, tokens, words of bitmaps and entries in use, queries so far; and whether a row's
postings did not fit, so that all rows must be inserted again with more room before the next search."""
LISTS, SETS = range(2)

ROW = np.dtype(
    [("start", "i8"), ("wide_at", "i8"), ("stamp", "i8"), ("narrow", "u8"), ("length", "i4"), ("unused", "i4")]
)
SLOT = np.dtype([("first", "i8"), ("size", "i4"), ("room", "i4"), ("classes", "u8")])
"""A list of postings. An element's first ``_MIXED`` are in one of their own, of any length; ``classes`` has a bit for
each class of length in which there are more, in a list for each."""
ENTRY = np.dtype([("narrow", "u8"), ("row", "i4"), ("length", "u2"), ("at", "u2")])
"""A posting: ``at`` is the element's position in the row. Narrow bitmap and length (``_LONG`` for all that are no less)
stand here once more, since a look at the row would cost a cache miss."""

_GOLDEN = np.uint64(0x9E3779B97F4A7C15)
_MIX = np.uint64(0xD6E8FEB86659FD93)
_NAME_BITS = 40
_CLASSES = 63
_MIXED = 16
_LONG = 2**16 - 1


class State(NamedTuple):
    """The pool, and room to work in. Rows, postings and vocabulary have capacities of their own."""

    kind: int
    bound: float
    """The least Dice coefficient of overlap; candidates are found by it, with a margin."""
    threshold: float
    """The least F, or Jaccard; rows are decided by it."""
    fill: Ints
    tokens: Ints
    rows: Structs
    wide: Words
    slots: Structs
    entries: Structs
    frequency: npt.NDArray[np.int32]
    """For a hash of an element, in how many rows it was when last counted."""
    local: npt.NDArray[np.int32]
    """For a token id a number within the query, 0 for none."""
    bitmap: Words
    """The query's bitmaps: that of w words (a power of two up to ``WIDEST``) begins at w."""
    found: Ints
    """(lists, 2): slots that the query must look through, and the position of its element."""
    hit_row: Ints
    hit_score: npt.NDArray[np.float64]


@intrinsic  # type: ignore[untyped-decorator]
def _popcount(context: Any, x: Any) -> Any:
    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.ctpop(arguments[0])

    return numba.types.int64(x), generate


@intrinsic  # type: ignore[untyped-decorator]
def _prefetch(context: Any, array: Any, index: Any) -> Any:
    """Fetch an element's cache line ahead of its use: a search spends most of its time waiting for memory."""

    def generate(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        number, byte = ir.IntType(32), ir.IntType(8).as_pointer()
        data = context.make_array(signature.args[0])(context, builder, arguments[0]).data
        kind = ir.FunctionType(ir.VoidType(), [byte, number, number, number])
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        place = builder.bitcast(builder.gep(data, [arguments[1]]), byte)
        builder.call(function, [place, number(0), number(3), number(1)])
        return context.get_dummy_value()

    return numba.types.void(array, numba.types.int64), generate


@compiled
def _int(number: Any) -> Any:
    return np.int64(number)


@compiled
def f_measure(lcs: int, n: int, m: int) -> float:
    """The float that ``rouge_score`` gives for an LCS above 0."""
    precision, recall = lcs / n, lcs / m
    return 2 * precision * recall / (precision + recall)


@compiled
def _hash(key: Any) -> Any:
    mixed = np.uint64(key) * _GOLDEN
    mixed = (mixed ^ (mixed >> np.uint64(32))) * _MIX
    return mixed ^ (mixed >> np.uint64(29))


@compiled
def bitmap_words(n: int) -> int:
    """Words of the bitmap of a text of n tokens."""
    words = 4
    while words < WIDEST and words * 8 < n:
        words *= 2
    return words


@compiled
def _class(n: int) -> int:
    """Texts of about one length are of one class: each length to 15, then eight classes an octave."""
    shift = 0
    while n >> shift >= 16:
        shift += 1
    return min(8 * shift + (n >> shift), _CLASSES - 1)


@compiled
def _hashes(kind: int, ids: Ints, local: Any) -> Words:
    """A hash of each element of a text: of (token, how often seen before in it), or of the n-gram."""
    hashes = np.empty(len(ids), np.uint64)
    for at, token in enumerate(ids):
        if kind == LISTS:
            hashes[at] = _hash((_int(token) << 32) | _int(local[token]))
            local[token] += 1
        else:
            hashes[at] = np.uint64(token)
    if kind == LISTS:
        for token in ids:
            local[token] = 0
    return hashes


@compiled
def _prepare(hashes: Words, frequency: Any, bitmap: Words, widest: int, first: int) -> Ints:
    """Keys of the ``first`` rarest elements of a text; its bitmaps, of up to ``widest`` words, go to ``bitmap``.

    A key is the element's frequency and, in the low bits, its name, a part of its hash.
    """
    keys = np.empty(len(hashes), np.int64)
    bitmap[: 2 * widest] = 0
    for at, mixed in enumerate(hashes):
        bit = mixed & np.uint64(widest * 64 - 1)
        bitmap[widest + _int(bit >> np.uint64(6))] ^= np.uint64(1) << (bit & np.uint64(63))
        name = _int(mixed >> np.uint64(64 - _NAME_BITS))
        keys[at] = (_int(frequency[name & (len(frequency) - 1)]) << _NAME_BITS) | name
    _select(keys, first)
    _sort(keys[:first])
    words = widest // 2
    while words:
        for i in range(words):
            bitmap[words + i] = bitmap[2 * words + i] ^ bitmap[3 * words + i]
        words //= 2
    return keys[:first]


@compiled
def _select(keys: Ints, first: int) -> None:
    """Bring the ``first`` least to the front, in any order (Hoare's quickselect)."""
    low, high, last = 0, len(keys) - 1, first - 1
    while low < high and first < len(keys):
        pivot, i, j = keys[(low + high) // 2], low, high
        while i <= j:
            while keys[i] < pivot:
                i += 1
            while keys[j] > pivot:
                j -= 1
            if i <= j:
                keys[i], keys[j] = keys[j], keys[i]
                i, j = i + 1, j - 1
        if last <= j:
            high = j
        elif last >= i:
            low = i
        else:
            break


@compiled
def _sort(keys: Ints) -> None:
    """Shell sort: most texts are short, and numba takes seconds to compile its own sort."""
    gap = 1
    while gap < len(keys) // 3:
        gap = 3 * gap + 1
    while gap:
        for i in range(gap, len(keys)):
            key, j = keys[i], i
            while j >= gap and keys[j - gap] > key:
                keys[j] = keys[j - gap]
                j -= gap
            keys[j] = key
        gap //= 3


@compiled
def _name(key: int) -> int:
    return key & ((1 << _NAME_BITS) - 1)


@compiled
def _slot(name: int, length_class: int, slots: int) -> int:
    """Where an element's postings for a class of length are; class ``_CLASSES`` for its first ones."""
    slot: int = _int(_hash((name << 6) + length_class) >> np.uint64(20)) & (slots - 1)
    return slot


@compiled
def _shortest(n: int, bound: float) -> int:
    """The least length with which a row can be similar to one of n elements."""
    return int(max(1.0, np.ceil(n * bound / (2 - bound) - MARGIN)))


@compiled
def _longest(n: int, at: int, bound: float) -> int:
    """The greatest length of a row that is similar and shares no element before that position."""
    return int(np.floor(2 * (n - at) / bound - n + MARGIN))


@compiled
def _prefix(n: int, bound: float) -> int:
    """How many elements can be the first that a row of n shares with a similar one, however long that is."""
    return max(0, n - _shortest(n, bound) + 1)


@compiled
def _distance(wide: Words, first: int, bitmap: Words, words: int) -> int:
    """Bits in which the bitmap of a row and that of the query differ."""
    distance = 0
    for i in range(words):
        distance += _popcount(wide[first + i] ^ bitmap[words + i])
    return distance


@compiled
def _shared(ids: Ints, other: Ints) -> int:
    """Elements in common, in both falling."""
    at, i, shared = 0, 0, 0
    while at < len(other) and i < len(ids):
        theirs, ours = other[at], ids[i]
        shared += theirs == ours
        at += theirs >= ours
        i += ours >= theirs
    return shared


@compiled
def _places(ids: Ints, local: Any) -> Words:
    """Where each token of the query stands: (distinct tokens + 1, blocks of 64), flat; numbers them in ``local``."""
    blocks, distinct = (len(ids) + 63) // 64, 0
    for token in ids:
        if local[token] == 0:
            distinct += 1
            local[token] = distinct
    places = np.zeros((distinct + 2) * blocks, np.uint64)
    for i, token in enumerate(ids):
        places[_int(local[token]) * blocks + i // 64] |= np.uint64(1) << np.uint64(i % 64)
    return places


@compiled
def _lcs(other: Ints, local: Any, places: Words, blocks: int) -> int:
    """Longest common subsequence with the query, 64 of its tokens at a time; the last ``blocks`` words are its work."""
    work, zero, one, total = len(places) - blocks, np.uint64(0), np.uint64(1), 0
    for b in range(blocks):
        places[work + b] = ~zero
    for token in other:
        if local[token]:
            carry, first = zero, _int(local[token]) * blocks
            for b in range(blocks):
                rest = places[work + b]
                matches = rest & places[first + b]
                summed = rest + matches
                over = summed < rest
                summed += carry
                carry = one if over or summed < carry else zero
                places[work + b] = summed | (rest ^ matches)
    for b in range(blocks):
        total += _popcount(~places[work + b])
    return total


@compiled
def _may(n: int, m: int, i: int, j: int, differ: Any, bound: float) -> bool:
    """Whether rows of n and m elements can reach the bound, by where they first meet and narrow bitmaps.

    One comparison, nearly always false: a processor that guesses branches hardly notices it.
    """
    may: bool = min(2 * min(n - i, m - j), n + m - _popcount(differ)) >= bound * (n + m) - 2 * MARGIN
    return may


@compiled
def _find(keys: Ints, n: int, bound: float, slots: Any, entries: Any, found: Ints) -> tuple[int, int]:
    """Lists that hold all rows which may reach the bound, into ``found``; how many, and how long they are together."""
    lists, visits, ones = 0, 0, ~np.uint64(0)
    lowest = ones << np.uint64(_class(_shortest(n, bound)))
    for i in range(_prefix(n, bound)):
        _prefetch(slots, _slot(_name(keys[i]), _CLASSES, len(slots)))
    for i in range(_prefix(n, bound)):
        if lists + _CLASSES >= len(found):
            return lists, np.iinfo(np.int64).max
        name = _name(keys[i])
        slot, longest = _slot(name, _CLASSES, len(slots)), _longest(n, i, bound)
        held = slots[slot].classes & lowest & (ones >> np.uint64(63 - _class(longest)))
        if slots[slot].size:
            found[lists, 0], found[lists, 1] = slot, i
            lists += 1
        while held:
            rest = held & (held - np.uint64(1))
            slot = _slot(name, _popcount((held ^ rest) - np.uint64(1)), len(slots))
            _prefetch(slots, slot)
            found[lists, 0], found[lists, 1] = slot, i
            lists, held = lists + 1, rest
    for number in range(lists):
        slot = found[number, 0]
        visits += slots[slot].size
        _prefetch(entries, slots[slot].first)
        _prefetch(entries, slots[slot].first + 4)
    return lists, visits


@compiled
def _search(state: State, ids: Ints, keys: Ints, best: bool) -> int:
    """Rows and scores of all that reach the threshold go to ``state.hit_*``, in no order; their number.

    ``best``: the most similar are enough, so that each hit raises the bound for what comes after it.
    """
    fill, rows, entries, slots = state.fill, state.rows, state.entries, state.slots
    wide, tokens, bitmap, local, found = state.wide, state.tokens, state.bitmap, state.local, state.found
    kind, bound, least, n, hits = state.kind, state.bound, state.threshold, len(ids), 0
    narrow, blocks, places = bitmap[1], (n + 63) // 64, np.empty(0, np.uint64)
    fill[QUERY] += 1
    query = fill[QUERY]
    lists, visits = _find(keys, n, bound, slots, entries, found)
    whole = visits > fill[ROWS]
    for number in range(1 if whole else lists):
        i, first, end = 0, 0, fill[ROWS]
        if not whole:
            i, first = found[number, 1], slots[found[number, 0]].first
            end = first + _int(slots[found[number, 0]].size)
        for at in range(first, end):
            row = at
            if whole:
                if not _may(n, _int(rows[at].length), 0, 0, rows[at].narrow ^ narrow, bound):
                    continue
            else:
                m, j = _int(entries[at].length), _int(entries[at].at)
                row = _int(entries[at].row)
                if m == _LONG:
                    m, j = _int(rows[row].length), 0
                if not _may(n, m, i, j, entries[at].narrow ^ narrow, bound):
                    continue
                if rows[row].stamp == query:
                    continue
                rows[row].stamp = query
            m, words = _int(rows[row].length), bitmap_words(rows[row].length)
            if n + m - _distance(wide, rows[row].wide_at, bitmap, words) < bound * (n + m) - 2 * MARGIN:
                continue
            other = tokens[rows[row].start : rows[row].start + m]
            if kind == SETS:
                shared = _shared(ids, other)
                score = shared / (n + m - shared)
            else:
                if not len(places):
                    places = _places(ids, local)
                shared = _lcs(other, local, places, blocks)
                score = f_measure(shared, n, m) if shared else 0.0
            if shared and score >= least:
                state.hit_row[hits], state.hit_score[hits] = row, score
                hits += 1
                if best:
                    least, bound = score, 2 * score / (1 + score) if kind == SETS else score
    if len(places):
        for token in ids:
            local[token] = 0
    return hits


@compiled
def _has_room(state: State, n: int) -> bool:
    """Whether a row of n tokens fits, its postings aside."""
    rows, tokens, words = state.fill[ROWS], state.fill[TOKENS] + n, state.fill[WIDE] + bitmap_words(n)
    room: bool = rows < len(state.rows) and tokens <= len(state.tokens) and words <= len(state.wide)
    return room and not state.fill[FULL]


@compiled
def _insert(state: State, ids: Ints, keys: Ints) -> None:
    """Add a text that was just prepared, and for which there is room."""
    fill, slots, entries = state.fill, state.slots, state.entries
    n, number, first, words = len(ids), fill[ROWS], fill[TOKENS], bitmap_words(len(ids))
    row, narrow, length_class = state.rows[number], state.bitmap[1], _class(n)
    row.start, row.length, row.narrow, row.wide_at, row.stamp = first, n, narrow, fill[WIDE], 0
    for i in range(n):
        state.tokens[first + i] = ids[i]
    for i in range(words):
        state.wide[fill[WIDE] + i] = state.bitmap[words + i]
    prefix = _prefix(n, state.bound)
    for i in range(prefix):
        _prefetch(slots, _slot(_name(keys[i]), _CLASSES, len(slots)))
    for i in range(prefix):
        name = _name(keys[i])
        slot = _slot(name, _CLASSES, len(slots))
        if slots[slot].size >= _MIXED:
            slots[slot].classes |= np.uint64(1) << np.uint64(length_class)
            slot = _slot(name, length_class, len(slots))
        at = _free_entry(slots, entries, fill, slot)
        if at < 0:
            fill[FULL] = 1
            break
        entries[at].row, entries[at].narrow = number, narrow
        entries[at].length, entries[at].at = min(n, _LONG), min(i, _LONG)
        slots[slot].size += 1
    fill[ROWS] += 1
    fill[TOKENS] += n
    fill[WIDE] += words


@compiled
def _free_entry(slots: Any, entries: Any, fill: Ints, slot: int) -> int:
    """The place of a slot's next posting, -1 if there is none; a full slot moves to twice the room at the end."""
    first, size, room = slots[slot].first, _int(slots[slot].size), _int(slots[slot].room)
    if size == room:
        moved, bigger = fill[ENTRIES], 2 * room + 1
        if moved + bigger > len(entries):
            return -1
        for i in range(size):
            entries[moved + i] = entries[first + i]
        slots[slot].first, slots[slot].room, first = moved, bigger, moved
        fill[ENTRIES] += bigger
    free: int = first + size
    return free


@compiled
def _elements(state: State, ids: Ints) -> Ints:
    """As ``_prepare``, with bitmaps as wide as those of the longest row that can be similar."""
    n, hashes = len(ids), _hashes(state.kind, ids, state.local)
    widest = bitmap_words(max(n, _longest(n, 0, state.bound)))
    return _prepare(hashes, state.frequency, state.bitmap, widest, _prefix(n, state.bound))


@compiled
def search(state: State, ids: Ints) -> int:
    """All rows that reach the threshold, and their scores, into ``state.hit_*``; their number."""
    return _search(state, ids, _elements(state, ids), False)


@compiled
def count_all(state: State, flat: Ints, ends: Ints) -> None:
    """Count in how many rows each element is, for an empty pool that rows will be inserted in."""
    frequency, most = state.frequency, (1 << (63 - _NAME_BITS)) - 1
    for at in range(len(ends)):
        for mixed in _hashes(state.kind, flat[ends[at - 1] if at else 0 : ends[at]], state.local):
            name = _int(mixed >> np.uint64(64 - _NAME_BITS)) & (len(frequency) - 1)
            frequency[name] += frequency[name] < most


@compiled
def insert_all(state: State, flat: Ints, ends: Ints, at: int) -> int:
    """Add the rows from number ``at`` on; the number of the first that is still to be added, for want of room."""
    while at < len(ends):
        ids = flat[ends[at - 1] if at else 0 : ends[at]]
        if not _has_room(state, len(ids)):
            break
        _insert(state, ids, _elements(state, ids))
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
        keys = _elements(state, ids)
        near[at], scores[at] = -1, 0.0 if state.kind == SETS else state.threshold
        for hit in range(_search(state, ids, keys, True)):
            row, score = state.hit_row[hit], state.hit_score[hit]
            if score > scores[at] or (score == scores[at] and row < near[at]):
                near[at], scores[at] = row, score
        if near[at] < 0:
            _insert(state, ids, keys)
        at += 1
    return at


@compiled
def closest(state: State, ids: Ints) -> tuple[int, float]:
    """The list of the highest F, the first among equals, and that F; -1 where nothing is shared."""
    rows, wide, bitmap, local = state.rows, state.wide, state.bitmap, state.local
    _prepare(_hashes(state.kind, ids, local), state.frequency, bitmap, WIDEST, 0)
    n, best, top, narrow = len(ids), -1, 0.0, bitmap[1]
    places, blocks = _places(ids, local), (n + 63) // 64
    for row in range(state.fill[ROWS]):
        m, words = _int(rows[row].length), bitmap_words(rows[row].length)
        if not _may(n, m, 0, 0, rows[row].narrow ^ narrow, top):
            continue
        if n + m - _distance(wide, rows[row].wide_at, bitmap, words) < top * (n + m) - 2 * MARGIN:
            continue
        shared = _lcs(state.tokens[rows[row].start : rows[row].start + m], local, places, blocks)
        if shared and f_measure(shared, n, m) > top:
            best, top = row, f_measure(shared, n, m)
    for token in ids:
        local[token] = 0
    return best, top
