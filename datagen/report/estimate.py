"""``datagen estimate``: the expected calls, tokens, money and time of a whole run, by stage, with a range."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from datagen.estimate import Estimate
from datagen.progress import duration

_PIPED_WIDTH = 120
_COLUMNS = ("stage", "rows", "calls", "tokens in", "tokens out", "USD", "time", "range")


def print_estimates(estimates: Sequence[Estimate], left_out: Sequence[str], n: int) -> None:
    """The table, its sum, and what is not in it."""
    table = Table(box=None, pad_edge=False, header_style="bold")
    for column in _COLUMNS:
        table.add_column(column, justify="left" if column == "stage" else "right")
    for one in estimates:
        table.add_row(*_row(one))
    asking = [one for one in estimates if one.calls]
    table.add_row(*_row(_total(asking)))
    width = None if sys.stdout.isatty() else _PIPED_WIDTH
    console = Console(highlight=False, markup=False, emoji=False, width=width)
    console.print(table)
    console.print(f"from {n} records; range: two standard errors of that sample", style="dim")
    if any(one.usd is None for one in asking):
        console.print(
            "USD: add price: {input: 0.15, output: 0.6} (USD per million tokens) to the LLM entry", style="dim"
        )
    if left_out:
        console.print(f"not in it: {', '.join(left_out)}", style="dim")


def _row(one: Estimate) -> list[str]:
    if not one.calls:
        return [one.stage, f"{one.rows:,.0f}" if one.rows else "", *[""] * 6]
    numbers = [f"{value:,.0f}" for value in (one.calls, one.prompt_tokens, one.completion_tokens)]
    usd = "?" if one.usd is None else f"{one.usd:,.2f}"
    time = "?" if one.seconds is None else duration(one.seconds)
    return [one.stage, f"{one.rows:,.0f}" if one.rows else "", *numbers, usd, time, f"± {100 * one.spread:.0f} %"]


def _total(asking: Sequence[Estimate]) -> Estimate:
    """The sum; the stages' errors may go together, so the range is the widest one."""
    usd = [one.usd for one in asking]
    seconds = [one.seconds for one in asking]
    return Estimate(
        "all",
        rows=0.0,
        calls=sum(one.calls for one in asking),
        prompt_tokens=sum(one.prompt_tokens for one in asking),
        completion_tokens=sum(one.completion_tokens for one in asking),
        usd=None if None in usd else sum(value or 0.0 for value in usd),
        seconds=None if None in seconds else sum(value or 0.0 for value in seconds),
        spread=max((one.spread for one in asking), default=0.0),
    )
