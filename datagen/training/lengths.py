"""Rows of like lengths in one batch, for every method: less padding, and so fewer tokens to go through."""

from __future__ import annotations

from typing import Any

_COLUMN = "length"


def group(trainer: Any) -> None:
    """Give transformers' sampler the lengths it looks for where rows have no ``input_ids``: of pairs and rankings."""
    for name in ("train_dataset", "eval_dataset"):
        data = getattr(trainer, name)
        if data is not None and "input_ids" not in data.column_names:
            setattr(trainer, name, data.add_column(_COLUMN, [longest(row) for row in data]))
    trainer._set_signature_columns_if_needed()
    trainer._signature_columns.append(_COLUMN)
    trainer.args.length_column_name = _COLUMN


def longest(row: dict[str, Any]) -> int:
    """Tokens of a row's longest sequence: of a ranking's answers, or of a prompt with either side of a pair."""
    if "answer_ids" in row:
        return max(map(len, row["answer_ids"]))
    return len(row["prompt_ids"]) + max(len(row["chosen_ids"]), len(row["rejected_ids"]))
