"""Many rules in one pass: those of a YAML file, such as the cleaning of Self-Instruct, Alpaca or Vicuna."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from datagen.errors import ConfigError
from datagen.record import Record
from datagen.stage import EachAlone
from datagen.text.rules import Rule, read_rules


def check(arguments: dict[str, Any]) -> None:
    """Raises ``ConfigError`` for a file that is no list of rules, and where no rule is given at all."""
    if not _rules(arguments["preset"], arguments["also"]):
        raise ConfigError("rules: name a preset, such as seeds/rules/alpaca.yaml, or rules under 'also'")


def rules(records: Iterable[Record], *, preset: Path | None = None, also: tuple[Rule, ...] = ()) -> EachAlone:
    """Rows without a flaw by the rules of the file ``preset`` and by ``also``; the first flaw is the reason.

    A rule is ``{rule: length | keywords | repetition | form, ...}``; the shipped presets are ``seeds/rules/*.yaml``.
    """
    check({"preset": preset, "also": also})
    found = _rules(preset, also)
    for record in records:
        for rule in found:
            if flaw := rule.flaw(record):
                yield record.drop(f"rules:{flaw.why}", **flaw.evidence)
                break
        else:
            yield record


def _rules(preset: Path | str | None, also: tuple[Rule, ...]) -> tuple[Rule, ...]:
    own = read_rules(Path(preset).read_text(encoding="utf-8"), preset) if preset else ()
    return (*own, *also)
