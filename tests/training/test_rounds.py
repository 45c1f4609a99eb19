from typing import Any

import pytest

from datagen.errors import ConfigError
from datagen.training.rounds import check_round


def given(**changed: Any) -> dict[str, Any]:
    return {"per_device_train_batch_size": 6, "gradient_accumulation_steps": 2, **changed}


def test_a_round_is_all_batches_of_all_devices() -> None:
    assert check_round("rloo", given(), 4, 1) == 12
    assert check_round("rloo", given(), 4, 4) == 48
    assert check_round("rloo", given(steps_per_generation=4), 4, 1) == 24
    assert check_round("rloo", given(generation_batch_size=18), 2, 1) == 18


def test_an_odd_batch_is_fine_for_one_sample_a_prompt() -> None:
    assert check_round("ppo", given(per_device_train_batch_size=7, gradient_accumulation_steps=1), 1, 1) == 7


@pytest.mark.parametrize(
    ("changed", "samples", "problem"),
    [
        ({}, 5, r"training\.rloo: a round has 12 answers .* samples: 5 .* do not divide; .*train_batch_size: 10"),
        ({"per_device_train_batch_size": 7}, 4, "14 answers .*train_batch_size: 8"),
        ({"generation_batch_size": 10}, 2, "10 is no multiple of 6"),
        ({"generation_batch_size": 12, "steps_per_generation": 2}, 2, "not both"),
    ],
)
def test_a_batch_that_does_not_divide_says_which_would(changed: dict[str, Any], samples: int, problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        check_round("rloo", given(**changed), samples, 1)
