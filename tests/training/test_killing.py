"""Every stage that has no such test of its own goes on from its checkpoint after a kill -9."""

from __future__ import annotations

import asyncio
import importlib
import json
import random
from pathlib import Path
from typing import Any

import pytest
from killing import interrupt, training

from datagen.record import Answer, instruction

ROWS = [
    instruction(f"Say {word} {n}.").with_answers([Answer("yes"), Answer("no")]) for n in range(8) for word in "abcd"
]


@pytest.mark.slow
@pytest.mark.parametrize("name", ["dpo", "reward", "grpo", "rloo"])
def test_a_killed_training_ends_as_one_log_without_a_gap(
    name: str, tiny_llama: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "has_letter.py").write_text("def check(instruction, answer):\n    return 'a' in answer\n")
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setenv("PYTHONPATH", f"{tmp_path}:{Path(__file__).parents[2]}")
    monkeypatch.setenv("OMP_NUM_THREADS", "1")
    out = tmp_path / name
    args = {"per_device_train_batch_size": 8, "logging_steps": 1, "save_steps": 5, "max_steps": 80}
    options: dict[str, Any] = {"base": str(tiny_llama), "args": args}
    if name in ("grpo", "rloo"):
        options |= {"oracle": "has_letter:check", "samples": 4, "args": {**args, "max_completion_length": 4}}

    killed_at = interrupt(training(name, ROWS, out, **options), out, after=5, kill_parent=True)

    stage = getattr(importlib.import_module(f"datagen.training.{name}"), name)
    metrics = asyncio.run(stage(ROWS, out, rng=random.Random(0), **options))
    assert killed_at <= metrics["resumed_from_step"] < metrics["steps"] == 80
    steps = [json.loads(line) for line in (out / "metrics.jsonl").read_text().splitlines()]
    assert [entry["step"] for entry in steps if "loss" in entry] == list(range(1, 81))
