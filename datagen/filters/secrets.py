"""Drop or mask rows with secrets: keys of services, private keys, tokens, passwords in addresses and assignments."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from datagen.record import Record
from datagen.stage import EachAlone
from datagen.text.masking import Action, judged
from datagen.text.secret_patterns import finder


def check(arguments: dict[str, Any]) -> None:
    """Raises ``ConfigError`` where detect-secrets is not installed."""
    finder()


def secrets(records: Iterable[Record], *, action: Action = "drop") -> EachAlone:
    """Rows without a secret anywhere: prompt, answers, notes and labels.

    ``drop``: the reason is the kind of the first one (``aws``, ``private_key``, ``basic_auth``, ``assigned``, ...); the
    evidence says what and where, and shows two characters of each. ``mask``: the row goes on as a child with ``<AWS>``
    and so on in place of each. What counts, and what is taken for a placeholder: ``datagen/text/secret_patterns.py``.
    Needs the extra ``checks``.
    """
    find = finder()
    for record in records:
        yield judged(record, find, stage="secrets", action=action)
