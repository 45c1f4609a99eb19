"""Length in words and characters."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from datagen.record import Record
from datagen.text.words import Scope, scoped


def length(
    records: Iterable[Record],
    *,
    of: Scope = "instruction",
    min_words: int | None = None,
    max_words: int | None = None,
    min_chars: int | None = None,
    max_chars: int | None = None,
) -> Iterator[Record]:
    """Records whose text is within the limits (inclusive); words are what whitespace parts."""
    for record in records:
        text = scoped(record, of)
        words = len(text.split())
        if (min_words is not None and words < min_words) or (min_chars is not None and len(text) < min_chars):
            yield record.drop("length:too_short", words=words, chars=len(text))
        elif (max_words is not None and words > max_words) or (max_chars is not None and len(text) > max_chars):
            yield record.drop("length:too_long", words=words, chars=len(text))
        else:
            yield record
