"""An export as the command line asks for it: the rows, their card where there is to be one, and the hub."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from datagen.errors import ConfigError
from datagen.report.containers import container
from datagen.report.data_card import write_card
from datagen.report.export import check as check_export
from datagen.report.export import export, said
from datagen.report.provenance import Provenance
from datagen.report.push import check_push, push
from datagen.runner import Outcome


def check(options: argparse.Namespace) -> None:
    """Raises ``ConfigError``, before any work, for what could not be written or pushed after it."""
    check_export(options.output, options.format)
    if options.push:
        check_push(options.output, options.push)
    elif options.public:
        raise ConfigError("--public: says how --push USER/NAME is seen; give that too")


def publish(
    options: argparse.Namespace, outcome: Outcome, stage: str, made: Callable[[], Provenance], drops: Iterable[Path]
) -> Iterator[str]:
    """Write ``stage``, with a card for a folder or where asked for, push it where asked for; yields what to say."""
    output: Path = options.output
    found = export(output, options.format, outcome.folders[stage], drops)
    yield from said(found)
    if options.card or container(output) in ("folder", "disk"):
        yield f"wrote its card to {write_card(found, outcome, stage, made())}"
    if options.push:
        yield f"pushed it to {push(output, options.push, public=options.public)}"
