"""Drop texts that are too short or too long, in words, characters or tokens."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from datagen.errors import ConfigError
from datagen.record import Record
from datagen.stage import EachAlone, ModelName
from datagen.text.rules import Length
from datagen.text.words import Scope


def check(arguments: dict[str, Any]) -> None:
    """Raises ``ConfigError`` where tokens are limited without a tokenizer to count them."""
    try:
        Length(**arguments)
    except ValueError as error:
        raise ConfigError(f"length: {error}") from error


def length(
    records: Iterable[Record],
    *,
    of: Scope = "instruction",
    min_words: int | None = None,
    max_words: int | None = None,
    min_chars: int | None = None,
    max_chars: int | None = None,
    min_tokens: int | None = None,
    max_tokens: int | None = None,
    tokenizer: ModelName | None = None,
) -> EachAlone:
    """Records whose text is within the limits (inclusive); words are what whitespace parts."""
    limits = {"min_words": min_words, "max_words": max_words, "min_chars": min_chars, "max_chars": max_chars}
    limits |= {"min_tokens": min_tokens, "max_tokens": max_tokens}
    check({**limits, "tokenizer": tokenizer})
    rule = Length(of=of, tokenizer=tokenizer, **limits)
    for record in records:
        flaw = rule.flaw(record)
        yield record.drop(f"length:{flaw.why}", **flaw.evidence) if flaw else record
