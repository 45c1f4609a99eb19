"""The data card: what an exported set was made from, by what, at what cost, and how to make it again.

The header is the hub's (licence, languages, size, tags, where each split lies). Nothing that belongs to the machine or
to a server goes into it: absolute paths are cut to their last part, addresses and headers are left out.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import orjson
import yaml

from datagen import __version__, assets
from datagen.record import read_records
from datagen.report import diversity
from datagen.report.containers import MARK, container
from datagen.report.export import Exported, counted, losses
from datagen.report.provenance import Provenance
from datagen.runner import Outcome
from datagen.store import ROWS, Result
from datagen.text.diversity import Diversity, measure
from datagen.text.shapes import SHAPES

_SIZES = ((1_000, "n<1K"), (10_000, "1K<n<10K"), (100_000, "10K<n<100K"), (1_000_000, "100K<n<1M"),
          (10_000_000, "1M<n<10M"), (100_000_000, "10M<n<100M"), (1_000_000_000, "100M<n<1B"))  # fmt: skip
_KEPT_TO_ONESELF = ("base_url", "headers")
_EXAMPLE_CHARACTERS = 600
_WIND_TUNNEL = (
    "**Wind tunnel.** Its model knows a small closed world and nothing else: the set shows that the machinery works, "
    "and is nothing to train real models on."
)


@dataclass(frozen=True)
class _Content:
    """What one look at the rows tells."""

    sources: Counter[str]
    languages: Counter[str]
    diversity: Diversity


def card_path(output: Path) -> Path:
    """Where the card of an export goes."""
    if container(output) in ("folder", "disk"):
        return output / "README.md"
    return output.with_name(f"{output.name.removesuffix(output.suffix)}.card.md")


def write_card(found: Exported, outcome: Outcome, stage: str, made: Provenance) -> Path:
    """Write the card of an export of ``stage``; where it is."""
    above = {name: outcome.results[name] for name in made.stages_of(stage, outcome.results)}
    content = _read(outcome.folders[stage] / ROWS, outcome.results[stage].kept)
    parts = (
        _header(found, content, above, made),
        f"# {made.name}\n\n{MARK}\n\n{_summary(found, stage, above, made)}",
        _section("Sources", _sources(content, above, made)),
        _section("Models", _models(above, made)),
        _section("Prompts", _prompts(above, made)),
        _section("How the rows were chosen", _funnel(above)),
        _section("Cost", _cost(above)),
        _section("Diversity", _diversity(content.diversity)),
        _section("A row", _example(found)),
        _section("Cite", _citations(above, made)),
        _section("Make it again", _again(stage, made)),
    )
    path = card_path(found.output)
    path.write_text("\n".join(part for part in parts if part), encoding="utf-8")
    return path


def _read(rows: Path, total: int) -> _Content:
    sources, languages = Counter[str](), Counter[str]()
    for record in read_records(rows):
        sources[str(record.labels.get("mixture") or record.source or "as read")] += 1
        languages[record.language] += 1
    return _Content(sources, languages, measure(partial(read_records, rows), total))


def _header(found: Exported, content: _Content, above: Mapping[str, Result], made: Provenance) -> str:
    licences = {made.licences.get(name, "unknown") for name, result in above.items() if result.shape == "source"}
    known = [name for name, _ in content.languages.most_common() if name]
    tags = ["datagen", *(["synthetic"] if made.models(above) else [])]
    task = SHAPES[found.shape].task
    header: dict[str, Any] = {
        "pretty_name": made.name,
        "license": licences.pop() if len(licences) == 1 else "other",
        "size_categories": [_size(found.splits.total())],
        "task_categories": ["text-generation"],
        "tags": [*tags, *(["trl", task] if task else [])],
    }
    if known:
        header["language"] = known
    if container(found.output) == "folder":
        files = [{"split": split, "path": f"data/{split}-*"} for split in found.splits]
        header["configs"] = [{"config_name": "default", "data_files": files}]
    return f"---\n{yaml.safe_dump(header, sort_keys=False, allow_unicode=True)}---\n"


def _size(rows: int) -> str:
    return next((name for most, name in _SIZES if rows < most), "n>1T" if rows >= 10**12 else "1B<n<10B")


def _summary(found: Exported, stage: str, above: Mapping[str, Result], made: Provenance) -> str:
    splits = ", ".join(f"{count:,} in `{_cell(name)}`" for name, count in found.splits.items())
    columns = ", ".join(f"`{name}`" for name in SHAPES[found.shape].columns)
    lines = [f"{found.splits.total():,} rows ({splits}), in the format `{found.shape}`: {columns}."]
    if made.models(above):
        lines.append("Made with language models: it holds their mistakes, and their terms of use apply.")
    if any(model.startswith("tiny-") for model, _, _ in made.models(above)):
        lines.append(_WIND_TUNNEL)
    if found.lost:
        lines.append(f"The format does not hold: {losses(found)}.")
    if found.refused:
        lines.append(f"Left out, because they fit no row of it: {counted(found.refused)}.")
    lines.append(f"Stage `{_cell(stage)}` of the pipeline below, datagen {__version__}.")
    return "\n".join(lines) + "\n"


def _sources(content: _Content, above: Mapping[str, Result], made: Provenance) -> str:
    rows = [
        (name, shown_path(made.path(name)), f"{result.kept:,}", made.licences.get(name, "unknown"))
        for name, result in above.items()
        if result.shape == "source"
    ]
    text = _table(("source", "file", "rows read", "licence"), rows)
    if len(content.sources) > 1 or "as read" not in content.sources:
        parts = content.sources.most_common()
        text += "\n" + _table(("rows of the set, by what made them", "rows"), [(n, f"{c:,}") for n, c in parts])
    languages = counted(Counter({name: count for name, count in content.languages.items() if name}))
    return text + f"\nLanguages: {_cell(languages) if languages else 'not identified'}.\n"


def _models(above: Mapping[str, Result], made: Provenance) -> str:
    if made.problem:
        return f"Not known: {_cell(made.problem)}\n"
    return _table(("model", "back end", "stages"), [(m, use, ", ".join(s)) for m, use, s in made.models(above)])


def _prompts(above: Mapping[str, Result], made: Provenance) -> str:
    rows = [
        (place, name, digest[:16], made.paper(place, digest))
        for name, result in above.items()
        for place, digest in result.prompts.items()
    ]
    table = _table(("prompt", "stage", "SHA-256 of the file", "after"), rows)
    return table and f"The files that the stages could ask with.\n\n{table}"


def _funnel(above: Mapping[str, Result]) -> str:
    rows = []
    for name, result in above.items():
        reasons = ", ".join(f"{why.partition(':')[2] or why} {count:,}" for why, count in result.reasons.items())
        counts = [f"{number:,}" if number else "" for number in (result.read, result.kept, result.dropped)]
        rows.append((name, result.use, *counts, reasons))
    return _table(("stage", "what", "read", "kept", "dropped", "why"), rows)


def _cost(above: Mapping[str, Result]) -> str:
    rows = [
        (name, f"{one.calls + one.replayed:,}", f"{one.seen_prompt_tokens:,}", f"{one.seen_completion_tokens:,}",
         f"{one.seen_usd:.4f}" if one.seen_usd else "")
        for name, one in above.items() if one.calls + one.replayed
    ]  # fmt: skip
    text = _table(("stage", "calls", "prompt tokens", "completion tokens", "USD"), rows)
    return text + "\nUSD only where the pipeline names a price.\n" if rows else ""


def _diversity(found: Diversity) -> str:
    return f"{diversity.line(found)}.\n"


def _example(found: Exported) -> str:
    if found.example is None:
        return ""
    text = orjson.dumps(found.example, option=orjson.OPT_INDENT_2).decode()
    cut = text if len(text) <= _EXAMPLE_CHARACTERS else text[:_EXAMPLE_CHARACTERS] + " …"
    return f"````json\n{cut}\n````\n"


def _citations(above: Mapping[str, Result], made: Provenance) -> str:
    lines = [
        f"- [arXiv:{paper}](https://arxiv.org/abs/{paper}): {', '.join(where)}"
        for paper, where in made.papers(above).items()
    ]
    return "\n".join(lines) + "\n" if lines else ""


def _again(stage: str, made: Provenance) -> str:
    text = yaml.safe_dump(_public(made.document), sort_keys=False, allow_unicode=True, width=120)
    return (
        f"The file below as `pipeline.yaml` (addresses and folders left out: put in yours), then\n\n"
        f"    datagen run pipeline.yaml --until {stage}\n\n````yaml\n{text}````\n"
    )


def _public(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {str(key): "..." if key in _KEPT_TO_ONESELF else _public(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [_public(item) for item in value]
    return shown_path(value) if isinstance(value, str) else value


def shown_path(text: str) -> str:
    """A path without where it lies on this machine; any other text as it is."""
    for name in ("seeds", "prompts", "pipelines"):
        if (shipped := assets.folder(name)) in Path(text).parents:
            return f"{name}/{Path(text).relative_to(shipped)}"
    return Path(text).name if re.match(r"[/~]|[A-Za-z]:[\\/]|\.\./", text) else text


def _section(title: str, text: str) -> str:
    return f"## {title}\n\n{text}" if text else ""


def _table(columns: tuple[str, ...], rows: Iterable[tuple[str, ...]]) -> str:
    lines = [f"| {' | '.join(map(_cell, row))} |" for row in rows]
    return "\n".join([f"| {' | '.join(columns)} |", "|" + "---|" * len(columns), *lines]) + "\n" if lines else ""


def _cell(text: str) -> str:
    """Text that cannot break out of a table cell or a line, and is no markup."""
    flat = " ".join(text.split())
    return re.sub(r"([\\`*_\[\]|])", r"\\\1", flat).replace("<", "&lt;")
