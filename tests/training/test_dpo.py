import math
from typing import Any

import pytest

from datagen.errors import ConfigError
from datagen.training.dpo import _chosen, _loss, _losses, check


def given(**changed: Any) -> dict[str, Any]:
    return {"args": {}, "loss_type": "sigmoid", "label_smoothing": 0.0, **changed}


def test_every_loss_of_trl_is_offered_and_ours() -> None:
    assert {"sigmoid", "hinge", "ipo", "robust", "exo_pair", "apo_zero", "discopop", "sigmoid_norm"} <= _losses()
    for loss in _losses() - {"exo_pair"}:
        check(given(loss_type=loss))
    check(given(loss_type="cdpo", label_smoothing=0.1))
    check(given(args={"loss_type": ["sigmoid", "sft"], "loss_weights": [1.0, 0.5]}))


@pytest.mark.parametrize(
    ("wrong", "problem"),
    [
        ({"loss_type": "simpo"}, "no loss 'simpo'; there are: .*cdpo"),
        ({"args": {"loss_type": ["sigmoid", "sigmund"]}}, "no loss 'sigmund'"),
        ({"args": {"loss_type": ["cdpo", "sft"]}}, "no loss 'cdpo'"),
        ({"label_smoothing": 0.1}, "sigmoid ignores label_smoothing; use .*cdpo"),
        ({"args": {"label_smoothing": 0.1}}, "sigmoid ignores"),
        ({"loss_type": "cdpo"}, "cdpo needs label_smoothing"),
        ({"loss_type": "cdpo", "args": {"loss_type": ["sigmoid"]}, "label_smoothing": 0.1}, "args.loss_type: cdpo is"),
        ({"loss_type": "cdpo", "args": {"loss_weights": [1]}, "label_smoothing": 0.1}, "args.loss_weights: cdpo is"),
        ({"loss_type": "exo_pair"}, "exo_pair needs label_smoothing"),
        ({"loss_type": "robust", "label_smoothing": 0.5}, "below 0.5"),
    ],
)
def test_a_loss_that_is_not_there_or_smoothing_without_effect_is_refused(wrong: dict[str, Any], problem: str) -> None:
    with pytest.raises(ConfigError, match=problem):
        check(given(**wrong))


@pytest.mark.parametrize("smoothing", [0.01, 0.1, 0.4])
@pytest.mark.parametrize("z", [-3.0, 0.0, 0.7, 5.0])
def test_cdpo_is_the_smoothed_loss_of_its_definition(z: float, smoothing: float) -> None:
    right, flipped = math.log1p(math.exp(-z)), math.log1p(math.exp(z))
    robust = ((1 - smoothing) * right - smoothing * flipped) / (1 - 2 * smoothing)
    weights = _loss("cdpo", smoothing)["loss_weights"]
    combined = weights[0] * right + weights[1] * robust
    assert combined == pytest.approx((1 - smoothing) * right + smoothing * flipped, abs=1e-9)


def test_cdpos_weights_follow_the_smoothing_that_counts() -> None:
    for args, smoothing in (({}, 0.1), ({"label_smoothing": 0.1}, 0.0), ({"label_smoothing": 0.1}, 0.3)):
        chosen = _chosen(args, 0.5, "cdpo", smoothing)
        assert (chosen["label_smoothing"], chosen["beta"]) == (0.1, 0.5)
        assert chosen["loss_weights"] == pytest.approx([1.8, -0.8])
