"""Likelihoods of a row's outputs: of one class, and of labels."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Family:
    """How the outputs of a row become probabilities, and what a solver must know of that.

    Attributes
    ----------
    mean
        Logits (p, n, k) to probabilities.
    losses
        (logits, truth) to negative log likelihoods (p, n, 1 or k).
    steepness
        (probabilities (n, k), weights (n, 1 or k)) to the curvature of the loss by the logits,
        summed over the rows (k, k).
    bound
        Largest curvature of the loss along any direction of the logits.
    own
        Axes of coefficients (p, r + 1, k) over which they are one problem.
    learnable
        (weights (p, n, 1), truth (n, k)) to what can be learnt at all, (p, 1, 1 or k).
    """

    mean: Callable[[Tensor], Tensor]
    losses: Callable[[Tensor, Tensor], Tensor]
    steepness: Callable[[Tensor, Tensor], Tensor]
    bound: float
    own: tuple[int, ...]
    learnable: Callable[[Tensor, Tensor], Tensor]


def _both_values(weights: Tensor, hot: Tensor) -> Tensor:
    """Return 1 for the labels of which a problem's rows have both values, else 0: (p, 1, k)."""
    there = (weights > 0).to(hot.dtype).transpose(1, 2)
    return (((there @ hot) > 0) & ((there @ (1 - hot)) > 0)).float()


def _binary_losses(logits: Tensor, hot: Tensor) -> Tensor:
    return torch.nn.functional.softplus(logits) - logits * hot


def _softmax_steepness(mean: Tensor, weights: Tensor) -> Tensor:
    weighted = mean * weights
    return weighted.sum(0).diag() - mean.T @ weighted


SOFTMAX = Family(
    lambda logits: logits.softmax(2),
    lambda logits, hot: -(logits.log_softmax(2) * hot).sum(2, keepdim=True),
    _softmax_steepness,
    0.5,
    (1, 2),
    lambda weights, _hot: torch.ones(len(weights), 1, 1),
)
SIGMOID = Family(
    torch.sigmoid,
    _binary_losses,
    lambda mean, weights: (mean * (1 - mean) * weights).sum(0).diag(),
    0.25,
    (1,),
    _both_values,
)
