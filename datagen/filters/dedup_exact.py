"""Drop exact duplicates, normalised: case, whitespace and punctuation do not count, numbers and operators do."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator

from datagen.filters.clusters import Clusters
from datagen.filters.duplicates import Keep, preferring
from datagen.record import Record
from datagen.stage import Rows
from datagen.text.words import Scope, normal, scoped


def dedup_exact(
    records: Iterable[Record], *, scope: Scope = "instruction", keep: Keep = "first", against: Rows | None = None
) -> Iterator[Record]:
    """One record of each text that ``against`` does not hold; the others name it (``first``).

    ``keep`` says which one: the first, the longest or the best scored. Holds 16 bytes and an id for each text.
    """
    first = {_key(record, scope): record.id for record in against or ()}

    def first_stays(rows: Iterable[Record]) -> Iterator[Record]:
        clusters = Clusters("dedup_exact:duplicate")
        for record in rows:
            key = _key(record, scope)
            if key in first:
                clusters.add(first[key], scoped(record, scope))
                yield record.drop("dedup_exact:duplicate", first=first[key])
            else:
                first[key] = record.id
                yield record
        clusters.report()

    return preferring(records, keep, first_stays)


def _key(record: Record, scope: Scope) -> bytes:
    text = normal(scoped(record, scope)).encode("utf-8", "surrogatepass")
    return hashlib.blake2b(text, digest_size=16).digest()
