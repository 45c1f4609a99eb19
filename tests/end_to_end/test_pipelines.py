"""Shipped pipelines for real on the tiny models, cut short: those whose stages no other test runs in one chain."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest
from processes import SOURCE

from datagen.report.show import read_run

pytestmark = [pytest.mark.slow, pytest.mark.long]

STEPS = 20


@pytest.mark.parametrize("name", ["ultrafeedback", "instructgpt", "baize_v2", "bactrian_x"])
def test_a_shipped_pipeline_runs_whole_on_the_tiny_models(name: str, tmp_path: Path) -> None:
    script = [sys.executable, str(SOURCE / "benchmarks" / "pipelines.py"), name, "--steps", str(STEPS)]
    environment = {**os.environ, "PYTHONPATH": str(SOURCE), "OMP_NUM_THREADS": "1"}
    done = subprocess.run([*script, "--root", str(tmp_path)], env=environment, capture_output=True, text=True)
    assert done.returncode == 0, (tmp_path / name / "log.txt").read_text()[-3000:]
    outcome, waiting = read_run(tmp_path / name, f"{name}-tiny")
    assert not waiting
    results = outcome.results.values()
    assert all(one.kept > 0 for one in results if one.shape != "job")
    assert {one.metrics["steps"] for one in results if one.use.startswith("training.")} == {STEPS}
    assert all(one.diversity for one in results if one.use.startswith("generators."))
    assert done.stdout.splitlines()[-1].startswith(f"| {name} |")
    assert "score: " in done.stdout
