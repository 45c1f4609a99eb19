"""Drop or mask rows with personal data: addresses of mail, networks and streets, numbers of phones, cards, accounts."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from datagen.errors import ConfigError
from datagen.record import Record
from datagen.stage import EachAlone
from datagen.text.masking import Action, judged
from datagen.text.personal_data import Kind, finder

_USUAL: tuple[Kind, ...] = ("email", "iban", "credit_card", "ssn", "ip_address", "phone")


def check(arguments: dict[str, Any]) -> None:
    """Raises ``ConfigError`` for no kind, an unknown country, and where a library is not installed."""
    if not arguments["kinds"]:
        raise ConfigError("personal_data: kinds: name at least one")
    finder(arguments["kinds"], arguments["regions"])


def personal_data(
    records: Iterable[Record],
    *,
    kinds: tuple[Kind, ...] = _USUAL,
    action: Action = "drop",
    regions: tuple[str, ...] = ("US",),
) -> EachAlone:
    """Rows without personal data of ``kinds`` anywhere: prompt, answers, notes and labels.

    ``drop``: the reason is the first kind found; the evidence says what and where, and shows two characters of each
    (the dropped row itself is kept whole, as every dropped row is: mind ``dropped.jsonl``). ``mask``: the row goes on
    as a child with ``<EMAIL>`` and so on in place of each, the original named as its parent (and kept whole in the run
    folder of the stage before). ``regions``: countries whose phone numbers are known without a country code.
    ``street_address`` must be asked for: it is a pattern alone. Names of persons are not found
    (``datagen/text/personal_data.py``). Needs the extra ``checks``.
    """
    check({"kinds": kinds, "regions": regions})
    find = finder(kinds, regions)
    for record in records:
        yield judged(record, find, stage="personal_data", action=action)
