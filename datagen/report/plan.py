"""What a mixture would be made of, before anything is written: `datagen mix --plan`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

from datagen.pipeline import Node, Pipeline
from datagen.record import Record
from datagen.rng import derive
from datagen.text.tokens import token_counter
from datagen.text.words import scoped, words


def print_plan(pipeline: Pipeline, titles: dict[str, str], tokenizer: str | None) -> None:
    """Each source's rows, its share, its repeats and its tokens (words without a tokenizer); ``titles`` names them.

    Draws the very rows that the run would write. Holds all sources.
    """
    sources = {node.name: _read(node) for node in pipeline.nodes[:-1]}
    mixture = pipeline.nodes[-1]
    drawn = list(mixture.stage.function(sources, **mixture.arguments, rng=derive(pipeline.seed, mixture.name)))
    rows, repeats, units = _counted(drawn, token_counter(tokenizer) if tokenizer else _words)
    widest = max(len("source"), *(len(titles.get(name, name)) for name in sources))
    line = f"{{:<{widest}}}" + "{:>12}{:>12}{:>8}{:>10}{:>14}{:>8}"
    print(line.format("source", "there", "rows", "share", "repeats", "tokens" if tokenizer else "words", "share"))
    for name, there in sources.items():
        counts = [f"{len(there):,}", f"{rows[name]:,}", _share(rows[name], rows.total()), f"{repeats[name]:,}"]
        print(line.format(titles.get(name, name), *counts, f"{units[name]:,}", _share(units[name], units.total())))
    whole = sum(map(len, sources.values()))
    print(line.format("all", f"{whole:,}", f"{rows.total():,}", "", f"{repeats.total():,}", f"{units.total():,}", ""))


def _read(node: Node) -> list[Record]:
    kinds = node.stage.parameters
    arguments = {
        name: Path(value) if value is not None and kinds[name].kind == "path" else value
        for name, value in node.arguments.items()
    }
    return [record for record in node.stage.function(**arguments) if not record.dropped]


def _counted(records: list[Record], count: Callable[[str], int]) -> tuple[Counter[str], Counter[str], Counter[str]]:
    """Rows, repeats and units by source."""
    rows, repeats, units = Counter[str](), Counter[str](), Counter[str]()
    for record in records:
        name = record.labels["mixture"]
        rows[name] += 1
        repeats[name] += "repeat" in record.labels
        units[name] += count(scoped(record, "all"))
    return rows, repeats, units


def _words(text: str) -> int:
    return len(words(text))


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.1%}" if whole else ""
