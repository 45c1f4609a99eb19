"""Proximal policy optimisation (arXiv 1707.06347) on tokens, as pure functions of tensors.

Everything has the shape (batch, seq) of the answers' tokens; ``mask`` is true on real ones, which stand first in each
row. What stands outside the mask never counts, whatever it is.
"""

from __future__ import annotations

import torch
from torch import Tensor


def token_rewards(scores: Tensor, log_ratio: Tensor, mask: Tensor, *, beta: float) -> Tensor:
    """``-beta log(pi / pi_ref)`` at each token, and the answer's score at its last one (arXiv 2203.02155, eq. 2).

    Args:
        scores: of whole answers. Shape: (batch,)
        log_ratio: log pi(token) - log pi_ref(token) when it was sampled. Shape: (batch, seq)
    """
    rewards = -beta * log_ratio * mask
    last = mask.long().sum(1, keepdim=True).sub(1).clamp(min=0)
    return rewards.scatter_add(1, last, (scores * mask.any(1)).unsqueeze(1))


def advantages(
    rewards: Tensor, values: Tensor, mask: Tensor, *, discount: float, trace: float
) -> tuple[Tensor, Tensor]:
    """Generalised advantage estimation (arXiv 1506.02438, eq. 16) and the returns that the values should learn.

    ``delta_t = r_t + discount V_{t+1} - V_t`` and ``A_t = delta_t + discount trace A_{t+1}``, with V = A = 0 after the
    last token; the return is ``A_t + V_t``. ``trace`` is the paper's lambda.

    Returns: advantages and returns. Shapes: (batch, seq) each, 0 outside the mask
    """
    values = values * mask
    ahead = torch.zeros_like(values[:, 0])
    value_ahead = torch.zeros_like(ahead)
    found = []
    for t in range(values.size(1) - 1, -1, -1):
        delta = rewards[:, t] + discount * value_ahead - values[:, t]
        ahead = (delta + discount * trace * ahead) * mask[:, t]
        value_ahead = values[:, t]
        found.append(ahead)
    estimated = torch.stack(found[::-1], dim=1)
    return estimated, (estimated + values) * mask


def moments(x: Tensor, mask: Tensor) -> Tensor:
    """Count, sum and sum of squares under the mask; of several processes they add up. Shape: (3,)"""
    x, mask = x.float() * mask, mask.float()
    return torch.stack([mask.sum(), x.sum(), x.square().sum()])


def whiten(x: Tensor, mask: Tensor, counted: Tensor) -> Tensor:
    """``(x - mean) / sqrt(variance + 1e-8)`` with the mean and variance of ``counted`` (see ``moments``)."""
    count, total, squares = counted[0].clamp(min=1), counted[1], counted[2]
    mean = total / count
    variance = (squares / count - mean.square()).clamp(min=0)
    return ((x - mean) * torch.rsqrt(variance + 1e-8) * mask).to(x.dtype)


def policy_loss(
    log_probs: Tensor, old_log_probs: Tensor, advantage: Tensor, mask: Tensor, *, clip: float
) -> tuple[Tensor, Tensor]:
    """Mean of ``-min(rho A, clip(rho, 1 - clip, 1 + clip) A)``, rho = pi / pi_old (arXiv 1707.06347, eq. 7).

    Returns: the loss, and the share of tokens where clipping took the gradient. Shapes: () each
    """
    ratio = torch.exp((log_probs - old_log_probs) * mask)
    plain, clipped = -ratio * advantage, -ratio.clamp(1 - clip, 1 + clip) * advantage
    return masked_mean(torch.max(plain, clipped), mask), masked_mean((clipped > plain).float(), mask)


def value_loss(values: Tensor, old_values: Tensor, returns: Tensor, mask: Tensor, *, clip: float) -> Tensor:
    """Mean of ``max((V - R)^2, (V_old + clip(V - V_old, -clip, clip) - R)^2) / 2``. Shape: ()

    The clipping is that of OpenAI's baselines, which the reference PPO-on-language code kept (arXiv 2403.17031, 3.4).
    """
    near = old_values + (values - old_values).clamp(-clip, clip)
    worse = torch.max((values - returns).square(), (near - returns).square())
    return masked_mean(worse, mask) / 2


def masked_mean(x: Tensor, mask: Tensor) -> Tensor:
    """The mean of what the mask lets through; 0 if that is nothing. Shape: ()"""
    return (x * mask).sum() / mask.sum().clamp(min=1)
