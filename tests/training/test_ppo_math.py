"""PPO's formulas against hand-worked numbers, and against an independent reference that knows no tensors."""

from __future__ import annotations

import math
import random

import pytest
import torch

from datagen.training import ppo_math

MASK = torch.tensor([[True, True, True], [True, True, False]])


def close(actual: torch.Tensor, expected: object) -> None:
    torch.testing.assert_close(actual, torch.tensor(expected), rtol=1e-5, atol=1e-6)


def test_the_score_comes_with_the_last_token_and_each_token_pays_its_divergence() -> None:
    log_ratio = torch.tensor([[1.0, 0.0, -0.5], [2.0, 1.0, 99.0]])
    rewards = ppo_math.token_rewards(torch.tensor([1.0, -1.0]), log_ratio, MASK, beta=0.1)
    close(rewards, [[-0.1, 0.0, 1.05], [-0.2, -1.1, 0.0]])


def test_advantages_by_hand() -> None:
    # discount 0.5, trace 0.5, rewards 0 0 1, values 0.2 0.4 0.6:
    # delta = 0 + 0.5*0.4 - 0.2 = 0;  0 + 0.5*0.6 - 0.4 = -0.1;  1 - 0.6 = 0.4
    # A = 0.4;  -0.1 + 0.25*0.4 = 0;  0 + 0.25*0 = 0
    rewards, values = torch.tensor([[0.0, 0.0, 1.0]]), torch.tensor([[0.2, 0.4, 0.6]])
    found, returns = ppo_math.advantages(rewards, values, MASK[:1], discount=0.5, trace=0.5)
    close(found, [[0.0, 0.0, 0.4]])
    close(returns, [[0.2, 0.4, 1.0]])


def test_with_a_trace_of_one_and_no_discount_the_return_is_what_is_still_to_come() -> None:
    rewards, values = torch.tensor([[1.0, 2.0, 3.0], [1.0, 2.0, 99.0]]), torch.randn(2, 3)
    _, returns = ppo_math.advantages(rewards * MASK, values, MASK, discount=1.0, trace=1.0)
    close(returns, [[6.0, 5.0, 3.0], [3.0, 2.0, 0.0]])


def reference(rewards: list[float], values: list[float], discount: float, trace: float) -> list[float]:
    """Eq. 16 as it is printed: the sum over l of (discount trace)^l delta_{t+l}, not its recursion."""
    ahead = [*values[1:], 0.0]
    deltas = [r + discount * after - v for r, v, after in zip(rewards, values, ahead, strict=True)]
    return [sum((discount * trace) ** k * delta for k, delta in enumerate(deltas[t:])) for t in range(len(deltas))]


@pytest.mark.parametrize(("discount", "trace"), [(1.0, 0.95), (0.9, 0.8), (0.99, 0.0), (1.0, 1.0)])
def test_advantages_equal_the_sum_they_are_defined_by(discount: float, trace: float) -> None:
    rng = random.Random(0)
    lengths = [1, 4, 9, 7]
    rows = [([rng.gauss(0, 1) for _ in range(n)], [rng.gauss(0, 1) for _ in range(n)]) for n in lengths]
    mask = torch.tensor([[t < n for t in range(9)] for n in lengths])
    padded = [torch.tensor([row[i] + [7.0] * (9 - len(row[i])) for row in rows]) for i in (0, 1)]
    found, returns = ppo_math.advantages(padded[0] * mask, padded[1], mask, discount=discount, trace=trace)
    for i, (rewards, values) in enumerate(rows):
        expected = reference(rewards, values, discount, trace)
        assert found[i].tolist() == pytest.approx([*expected, *[0.0] * (9 - len(values))], abs=1e-5)
        targets = [a + v for a, v in zip(expected, values, strict=True)]
        assert returns[i, : len(values)].tolist() == pytest.approx(targets, abs=1e-5)


def test_the_policy_loss_is_clipped_only_where_that_makes_it_worse() -> None:
    # rho 1.5, 1.5, 0.5, 0.5 with A 1, -1, 1, -1 and clip 0.2: min(rho A, clipped A) = 1.2, -1.5, 0.5, -0.8
    ratios, advantage = torch.tensor([[1.5, 1.5, 0.5, 0.5, 9.0]]), torch.tensor([[1.0, -1.0, 1.0, -1.0, 5.0]])
    mask = torch.tensor([[True, True, True, True, False]])
    loss, share = ppo_math.policy_loss(ratios.log(), torch.zeros(1, 5), advantage, mask, clip=0.2)
    close(loss, -(1.2 - 1.5 + 0.5 - 0.8) / 4)
    close(share, 0.5)


def test_at_the_first_step_the_gradient_is_that_of_reinforce() -> None:
    log_probs = torch.randn(2, 3, requires_grad=True)
    advantage = torch.randn(2, 3)
    loss, _ = ppo_math.policy_loss(log_probs, log_probs.detach(), advantage, MASK, clip=0.2)
    loss.backward()
    assert log_probs.grad is not None
    torch.testing.assert_close(log_probs.grad, -advantage * MASK / 5)


def test_the_value_loss_takes_the_worse_of_the_plain_and_the_clipped_error() -> None:
    # V 2, old 1, clip 0.2 -> near 1.2. Return 2: errors 0 and 0.64 -> 0.64. Return 0: 4 and 1.44 -> 4. Halves: 1.16.
    values, old = torch.tensor([[2.0, 2.0, 50.0]]), torch.tensor([[1.0, 1.0, 0.0]])
    loss = ppo_math.value_loss(values, old, torch.tensor([[2.0, 0.0, 0.0]]), MASK[1:], clip=0.2)
    close(loss, (0.64 + 4.0) / 2 / 2)


def test_whitening_leaves_mean_zero_and_variance_one_over_all_processes() -> None:
    x = torch.tensor([[1.0, 2.0, 3.0], [4.0, 5.0, 1e6]])
    white = ppo_math.whiten(x, MASK, ppo_math.moments(x, MASK))
    inside = [(v - 3) / math.sqrt(2) for v in range(1, 6)]
    close(white, [inside[:3], [*inside[3:], 0.0]])
    halves = ppo_math.moments(x[:1], MASK[:1]) + ppo_math.moments(x[1:], MASK[1:])
    torch.testing.assert_close(ppo_math.whiten(x, MASK, halves), white)


def test_nothing_under_the_mask_is_nothing_and_not_nan() -> None:
    x, nothing = torch.randn(2, 3), torch.zeros(2, 3, dtype=torch.bool)
    assert ppo_math.masked_mean(x, nothing) == 0
    assert ppo_math.whiten(x, nothing, ppo_math.moments(x, nothing)).abs().sum() == 0
    close(ppo_math.token_rewards(torch.ones(2), x, nothing, beta=1.0), [[0.0] * 3] * 2)
