"""``kill -9`` at any moment, then the same command: no row is lost, and what was paid for is not paid for again."""

from __future__ import annotations

import random
import time
from pathlib import Path

import pytest
from processes import data, finish, requests, run, start, wait_for_requests, write_pipeline

IN_FLIGHT = 8
"""The toy back end takes 4 requests at once; as many replies may be on their way to the disk."""


def killed_at(folder: Path, request: int) -> None:
    process = start(folder, "run", "toy.yaml", "-q")
    wait_for_requests(folder, request, process)
    process.kill()
    finish(process)


@pytest.fixture(scope="module")
def undisturbed(tmp_path_factory: pytest.TempPathFactory) -> dict[int, tuple[dict[str, bytes], int]]:
    made = {}
    for n in (60, 600):
        folder = tmp_path_factory.mktemp("undisturbed")
        write_pipeline(folder, n=n)
        assert run(folder, "run", "toy.yaml", "-q") == (0, [])
        made[n] = data(folder), len(requests(folder))
    return made


def test_a_run_killed_in_each_of_its_llm_stages_ends_as_if_nothing_had_been(
    tmp_path: Path, undisturbed: dict[int, tuple[dict[str, bytes], int]]
) -> None:
    expected, calls = undisturbed[60]
    write_pipeline(tmp_path, n=60, latency_s=0.01)
    for request in (20, 80):
        killed_at(tmp_path, request)
    assert run(tmp_path, "run", "toy.yaml", "-q") == (0, [])
    assert data(tmp_path) == expected
    assert calls <= len(requests(tmp_path)) <= calls + 2 * IN_FLIGHT


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(3))
def test_a_run_killed_at_many_random_moments_ends_as_if_nothing_had_been(
    tmp_path: Path, undisturbed: dict[int, tuple[dict[str, bytes], int]], seed: int
) -> None:
    expected, calls = undisturbed[600]
    write_pipeline(tmp_path, n=600, latency_s=0.02)
    rng = random.Random(seed)
    for kills in range(1000):
        process = start(tmp_path, "run", "toy.yaml", "-q")
        if kills < 12:
            wait_for_requests(tmp_path, len(requests(tmp_path)) + rng.choice((0, 1, 10, 150)), process)
            time.sleep(rng.random() * 0.05)
            process.kill()
        if finish(process) == (0, []):
            break
    assert kills >= 5
    assert data(tmp_path) == expected
    assert calls <= len(requests(tmp_path)) <= calls + kills * IN_FLIGHT
