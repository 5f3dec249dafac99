"""LogME: the evidence of a Bayesian linear model of the answers, at its best prior and noise.

You, Liu, Wang and Long, LogME: Practical Assessment of Pre-trained Models for Transfer Learning,
ICML 2021; by the fixed point of You et al., Ranking and Tuning Pre-trained Models, JMLR 23, 2022.
"""

from __future__ import annotations

import numpy as np

from headstart.evidence.transferability import Suit, transferability

STEPS = 100
SETTLED = 1e-4
"""Relative change of the ratio of the precisions at which it has settled."""


def logme(suit: Suit) -> float:
    """Return the log evidence a row, averaged over the answers."""
    features = suit.features
    squares, left = suit.decomposed
    # features and answers have no mean: of n rows that leaves n - 1 to be explained
    answers, shape = suit.answers - suit.answers.mean(0), (len(features) - 1, features.shape[1])
    return float(np.mean([_evidence(left, squares, shape, y) for y in answers.T]))


def _evidence(
    left: np.ndarray, squares: np.ndarray, shape: tuple[int, ...], answer: np.ndarray
) -> float:
    """Return the log evidence a row of one answer.

    In the basis of the singular vectors the posterior mean of each weight and the residual are
    sums; prior precision and noise precision are raised to where the evidence has its maximum.
    """
    n, d = shape
    along = (left.T @ answer) ** 2
    beyond = max(float(answer @ answer - along.sum()), 0.0)
    prior, noise = 1.0, 1.0
    for _ in range(STEPS):
        ratio = prior / noise
        effective = float((squares / (squares + ratio)).sum())
        weights = float((squares * along / (squares + ratio) ** 2).sum())
        residual = float((along * (ratio / (squares + ratio)) ** 2).sum()) + beyond
        prior = effective / max(weights, 1e-12)
        noise = (n - effective) / max(residual, 1e-12)
        if abs(prior / noise - ratio) <= SETTLED * ratio:
            break
    ratio = prior / noise
    weights = float((squares * along / (squares + ratio) ** 2).sum())
    residual = float((along * (ratio / (squares + ratio)) ** 2).sum()) + beyond
    determinant = float(np.log(prior + noise * squares).sum())
    determinant += (d - len(squares)) * np.log(prior)
    evidence = d * np.log(prior) + n * np.log(noise) - n * np.log(2 * np.pi) - determinant
    return float(evidence - noise * residual - prior * weights) / (2 * n)


transferability.register("logme", logme)
