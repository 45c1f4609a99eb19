"""How varied what each generation stage made is: a line when it ends, a table in the report of a run."""

from __future__ import annotations

from collections.abc import Mapping

from rich.table import Table
from rich.text import Text

from datagen.text.diversity import Diversity

_COLUMNS = (
    "diversity",
    "rows",
    "verb-noun pairs",
    "in rows",
    "distinct-1",
    "distinct-2",
    "nearest ROUGE-L",
    "words 10/50/90 %",
    "of answers",
)


def line(found: Diversity) -> str:
    """All in one line."""
    sampled = f" of {found.nearest_of:,} rows" if found.nearest_of < found.rows else ""
    return (
        f"{_rows(found)} rows: {found.verb_nouns:,} verb-noun pairs in {found.verb_noun_rows:,}, "
        f"distinct-1 {found.distinct_1:.3f}, distinct-2 {found.distinct_2:.3f}, "
        f"nearest ROUGE-L {found.nearest_rouge:.3f}{sampled}, words {_spread(found.instruction_words)}"
        + (f", of answers {_spread(found.answer_words)}" if found.answer_words else "")
    )


def table(measured: Mapping[str, Diversity]) -> Table:
    """One row for each stage; ``measured`` goes by their names."""
    made = Table(box=None, pad_edge=False, header_style="bold", padding=(0, 2, 0, 0))
    for column in _COLUMNS:
        made.add_column(column, justify="left" if column == "diversity" else "right")
    for stage, found in measured.items():
        made.add_row(
            Text(stage),
            _rows(found),
            f"{found.verb_nouns:,}",
            f"{found.verb_noun_rows:,}",
            f"{found.distinct_1:.3f}",
            f"{found.distinct_2:.3f}",
            f"{found.nearest_rouge:.3f}",
            _spread(found.instruction_words),
            _spread(found.answer_words),
        )
    return made


def _rows(found: Diversity) -> str:
    return f"{found.rows:,}" if found.rows == found.total else f"{found.rows:,} of {found.total:,}"


def _spread(quantiles: tuple[int, ...]) -> str:
    return "/".join(map(str, quantiles))
