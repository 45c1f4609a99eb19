import math

import pytest

from datagen.evaluation.statistics import mean, paired_difference, proportion


def test_a_proportion_has_its_binomial_error() -> None:
    found = proportion(30, 40)
    assert found["share"] == 0.75
    assert found["stderr"] == pytest.approx(math.sqrt(0.75 * 0.25 / 40))


def test_no_items_have_no_share_and_no_error() -> None:
    assert proportion(0, 0) == {"share": 0.0, "stderr": 0.0}
    assert mean([]) == {"mean": 0.0, "stderr": 0.0}


def test_a_mean_has_the_error_of_the_sample_variance() -> None:
    # Values 1, 0.5, 0, 0.5: mean 0.5, sample variance (0.25 + 0 + 0.25 + 0) / 3 = 1/6, error sqrt(1/24).
    found = mean([1, 0.5, 0, 0.5])
    assert found["mean"] == 0.5
    assert found["stderr"] == pytest.approx(math.sqrt(1 / 24))


def test_a_paired_difference_is_tighter_than_two_separate_errors() -> None:
    first, second = [1, 1, 1, 0, 0, 0, 0, 0], [1, 1, 0, 0, 0, 0, 0, 0]
    found = paired_difference(first, second)
    # One of 8 differs: mean 1/8, sample variance (49/64 + 7/64) / 7 = 1/8, error sqrt(1/64).
    assert found["difference"] == 0.125
    assert found["stderr"] == pytest.approx(math.sqrt(1 / 8 / 8), abs=1e-4)
    assert found["ci95"] == [
        pytest.approx(0.125 - 1.96 * 0.125, abs=1e-4),
        pytest.approx(0.125 + 1.96 * 0.125, abs=1e-4),
    ]
    separate = math.hypot(proportion(3, 8)["stderr"], proportion(2, 8)["stderr"])
    assert found["stderr"] < separate


def test_two_models_that_agree_everywhere_differ_by_nothing() -> None:
    assert paired_difference([1, 0, 1], [1, 0, 1]) == {"difference": 0.0, "stderr": 0.0, "ci95": [0.0, 0.0]}
