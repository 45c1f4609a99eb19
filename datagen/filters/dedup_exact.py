"""Exact duplicates after normalisation: case, whitespace and punctuation do not count, numbers and operators do."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator

from datagen.record import Record
from datagen.text.words import Scope, normal, scoped


def dedup_exact(records: Iterable[Record], *, scope: Scope = "instruction") -> Iterator[Record]:
    """The first record of each text; the others name it (``first``). Holds 16 bytes and an id for each text."""
    first: dict[bytes, str] = {}
    for record in records:
        text = normal(scoped(record, scope)).encode("utf-8", "surrogatepass")
        key = hashlib.blake2b(text, digest_size=16).digest()
        if key in first:
            yield record.drop("dedup_exact:duplicate", first=first[key])
        else:
            first[key] = record.id
            yield record
