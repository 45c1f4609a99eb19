import math

import pytest
import torch

from datagen.training.calibration import Ranking, measured, reliability
from datagen.training.kwise import collate, kwise_loss, pairs


def log_sigmoid(x: float) -> float:
    return -math.log(1 + math.exp(-x))


def test_each_prompt_weighs_the_same_and_its_pairs_share_that_weight() -> None:
    rewards = torch.tensor([2.0, 0.5, -1.0, 0.3, 0.8])  # a ranking of three, then one of two
    three = (log_sigmoid(1.5) + log_sigmoid(3.0) + log_sigmoid(1.5)) / 3
    two = log_sigmoid(-0.5)
    assert kwise_loss(rewards, torch.tensor([3, 2])).item() == pytest.approx(-(three + two) / 2, abs=1e-6)


def test_for_two_answers_it_is_trls_pairwise_loss() -> None:
    chosen, rejected = torch.randn(8), torch.randn(8)
    ours = kwise_loss(torch.stack([chosen, rejected], 1).flatten(), torch.full((8,), 2))
    theirs = -torch.nn.functional.logsigmoid(chosen - rejected).mean()
    torch.testing.assert_close(ours, theirs)


def test_all_pairs_of_a_ranking_are_compared_best_first() -> None:
    ((better, worse),) = pairs(torch.tensor([4.0, 3.0, 2.0, 1.0]), torch.tensor([4]))
    assert list(zip(better.tolist(), worse.tolist(), strict=True)) == [(4, 3), (4, 2), (4, 1), (3, 2), (3, 1), (2, 1)]


def test_a_batch_holds_all_answers_of_a_prompt_side_by_side() -> None:
    batch = collate([[[5, 6, 7], [8]], [[1], [2, 3], [4]]], pad_id=0)
    assert batch["input_ids"].tolist() == [[5, 6, 7], [8, 0, 0], [1, 0, 0], [2, 3, 0], [4, 0, 0]]
    assert batch["attention_mask"].sum(1).tolist() == [3, 1, 1, 2, 1]
    assert batch["counts"].tolist() == [2, 3]


def test_a_perfectly_calibrated_model_has_no_calibration_error() -> None:
    gap = math.log(3)  # sigmoid is 0.75: right three times in four
    result = measured([Ranking([gap, 0.0], [1, 1])] * 3 + [Ranking([0.0, gap], [1, 1])])
    assert result["accuracy"] == 0.75
    assert result["calibration_error"] == 0.0
    assert result["calibration"] == [{"pairs": 4, "confidence": 0.75, "right": 0.75}]
    assert result["length_correlation"] is None


def test_a_sure_model_that_is_wrong_shows_in_the_error() -> None:
    result = measured([Ranking([-50.0, 50.0], [1, 2])])
    assert (result["accuracy"], result["calibration_error"]) == (0.0, 1.0)
    assert (result["length_correlation"], result["longer_is_better"]) == (1.0, 0.0)


def test_length_is_compared_within_a_prompt() -> None:
    # Across prompts longer goes with higher, within each prompt with lower.
    result = measured([Ranking([1.0, 0.0], [2, 4]), Ranking([9.0, 8.0], [20, 22])])
    assert result["length_correlation"] == -1.0
    assert (result["accuracy"], result["longer_is_better"]) == (1.0, 0.0)


def test_a_tie_is_half_right_and_the_edges_of_the_bins_hold() -> None:
    assert reliability([0.0]) == [{"pairs": 1, "confidence": 0.5, "right": 0.5}]
    assert sum(one["pairs"] for one in reliability([1e9, 0.0, -3.0, 0.1, 700.0])) == 5
