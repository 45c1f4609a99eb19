from __future__ import annotations

from pathlib import Path

from datagen.training.launch import _metrics
from datagen.training.rows import Written


def test_a_training_that_logged_nothing_has_metrics_all_the_same(tmp_path: Path) -> None:
    """Such as with args: {logging_strategy: "no"}, or fewer steps than logging_steps."""
    metrics = _metrics(tmp_path, {"steps": 3, "train_seconds": 1.5, "settings": {}}, Written(rows=7))
    assert (metrics["train_loss"], metrics["steps"], metrics["tokens"], metrics["tokens_per_s"]) == (None, 3, 0, 0)
    assert (metrics["train_seconds"], metrics["rows"]) == (1.5, 7)
    assert "settings" not in metrics
