"""Drop texts that say the same over and over: n-grams and lines (Gopher, arXiv 2112.11446), lists that only count 1."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from datagen.errors import ConfigError
from datagen.record import Record
from datagen.stage import EachAlone
from datagen.text.rules import Repetition
from datagen.text.words import Scope


def check(arguments: dict[str, Any]) -> None:
    """Raises ``ConfigError`` for an n-gram without words, or a share that is none."""
    try:
        Repetition(**arguments)
    except ValueError as error:
        raise ConfigError(f"repetition: {error}") from error


def repetition(
    records: Iterable[Record],
    *,
    of: Scope = "answer",
    ngram: int = 5,
    max_ngram_share: float | None = 0.4,
    max_line_share: float | None = 0.5,
    min_words: int = 30,
    repeated_list: bool = True,
) -> EachAlone:
    """Rows of whose n-grams, and of whose lines, at most that share stood in the text before.

    N-grams are counted from ``min_words`` words on. ``repeated_list`` is a list whose items are all number 1, as
    FastChat drops it for Vicuna. The evidence is the most frequent one, how often, and the share.
    """
    rule = Repetition(of, ngram, max_ngram_share, max_line_share, min_words, repeated_list)
    for record in records:
        flaw = rule.flaw(record)
        yield record.drop(f"repetition:{flaw.why}", **flaw.evidence) if flaw else record
