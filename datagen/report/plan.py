"""What a mixture would be made of, before anything is written: `datagen mix --plan`."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from pathlib import Path

from datagen.pipeline import Node, Pipeline
from datagen.record import Record
from datagen.rng import derive
from datagen.text.tokens import token_counter
from datagen.text.words import scoped

_BYTES_PER_TOKEN = 4


def print_plan(pipeline: Pipeline, titles: dict[str, str], tokenizer: str | None) -> None:
    """Each source's rows, its share, its repeats and its tokens (estimated without a tokenizer); ``titles`` names them.

    Draws the very rows that the run would write. Holds all sources.
    """
    sources = {node.name: _read(node) for node in pipeline.nodes[:-1]}
    mixture = pipeline.nodes[-1]
    print_preset(mixture)
    drawn = list(mixture.stage.function(sources, **mixture.arguments, rng=derive(pipeline.seed, mixture.name)))
    rows, repeats, tokens = _counted(drawn, token_counter(tokenizer) if tokenizer else _estimated)
    widest = max(len("source"), *(len(titles.get(name, name)) for name in sources))
    line = f"{{:<{widest}}}" + "{:>12}{:>12}{:>8}{:>10}{:>14}{:>8}"
    print(line.format("source", "there", "rows", "share", "repeats", "tokens" if tokenizer else "~tokens", "share"))
    for name, there in sources.items():
        counts = [f"{len(there):,}", f"{rows[name]:,}", _share(rows[name], rows.total()), f"{repeats[name]:,}"]
        print(line.format(titles.get(name, name), *counts, f"{tokens[name]:,}", _share(tokens[name], tokens.total())))
    whole = sum(map(len, sources.values()))
    print(line.format("all", f"{whole:,}", f"{rows.total():,}", "", f"{repeats.total():,}", f"{tokens.total():,}", ""))
    if not tokenizer:
        print(f"~tokens: estimated, bytes in UTF-8 / {_BYTES_PER_TOKEN}; --tokenizer MODEL counts them")


def print_preset(node: Node) -> None:
    """What a stage's ``preset`` stands for, where it stands for settings."""
    if (preset := node.arguments.get("preset")) is None:
        return
    defaults = {name: parameter.default for name, parameter in node.stage.parameters.items()}
    given = {**defaults, "preset": preset}
    stands_for = {name: value for name, value in node.stage.expanded(given).items() if value != given[name]}
    if stands_for:
        print(f"preset {preset}: {', '.join(f'{name} {_spelled(value)}' for name, value in stands_for.items())}")


def _spelled(value: object) -> str:
    return ", ".join(f"{key} {one}" for key, one in value.items()) if isinstance(value, dict) else f"{value:,}"


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


def _estimated(text: str) -> int:
    return -(-len(text.encode("utf-8", "replace")) // _BYTES_PER_TOKEN)


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.1%}" if whole else ""
