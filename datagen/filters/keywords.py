"""Drop rows that hold certain words, or begin with them: blocklists, names of vendors, tasks that text cannot do."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from datagen.errors import ConfigError
from datagen.record import Record
from datagen.stage import EachAlone
from datagen.text.rules import Keywords
from datagen.text.words import Scope


def check(arguments: dict[str, Any]) -> None:
    """Raises ``ConfigError`` where no word is named, or an empty one."""
    try:
        Keywords(drop=arguments["drop"], start=arguments["start"])
    except ValueError as error:
        raise ConfigError(f"keywords: {error}") from error


def keywords(
    records: Iterable[Record],
    *,
    drop: tuple[str, ...] = (),
    start: tuple[str, ...] = (),
    of: Scope = "instruction",
    match_case: bool = False,
) -> EachAlone:
    """Rows with none of the words ``drop`` and not beginning with ``start``; the evidence is what matched.

    Whole words are meant, and ``file*`` all that begin so; in scripts without spaces they are found anywhere.
    """
    check({"drop": drop, "start": start})
    rule = Keywords(of=of, drop=drop, start=start, match_case=match_case)
    for record in records:
        flaw = rule.flaw(record)
        yield record.drop(f"keywords:{flaw.why}", **flaw.evidence) if flaw else record
