"""Name each row's language, and keep the languages that are wanted."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from datagen.errors import ConfigError
from datagen.record import Record
from datagen.stage import EachAlone
from datagen.text.language import identify, known_languages
from datagen.text.words import Scope, scoped


def check(arguments: dict[str, Any]) -> None:
    """Raises ``ConfigError`` for a code or share that no row can have, and where pycld2 is not installed."""
    if not 0 <= arguments["min_share"] <= 1:
        raise ConfigError(f"language: min_share: {arguments['min_share']} is no share of a text, from 0 to 1")
    if unknown := sorted(set(arguments["keep"] or ()) - known_languages()):
        raise ConfigError(f"language: keep: no language {unknown[0]!r}; ISO 639-1 codes are meant, such as en, de, zh")


def language(
    records: Iterable[Record],
    *,
    keep: list[str] | None = None,
    of: Scope = "all",
    min_share: float = 0.0,
    keep_unknown: bool = True,
) -> EachAlone:
    """Rows in one of the languages ``keep`` (None: any), each with its ``language`` filled in.

    Code, addresses and formulas do not count. ``min_share`` is the least share of the text in that language; below it
    the text is ``mixed``. A text without prose, such as a sum, or too short for CLD2 to name, stays unless told; one
    too short to be certain about stays if it may be in a wanted language. Raises ``ConfigError``.
    """
    check({"keep": keep, "min_share": min_share})
    for record in records:
        text = scoped(record, of)
        found = identify(text, keep or ())
        if not found.code:
            yield record if keep_unknown else record.drop("language:unknown", text=text[:200])
            continue
        named = record.in_language(found.code)
        evidence = {"language": found.code, "certain": found.certain, "shares": found.shares}
        if keep is not None and found.code not in keep:
            yield named.drop("language:other", **evidence)
        elif found.shares[found.code] < min_share:
            yield named.drop("language:mixed", **evidence)
        else:
            yield named
