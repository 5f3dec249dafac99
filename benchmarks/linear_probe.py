"""The cross-validated linear probe against scikit-learn's, on the same features in one run."""

from __future__ import annotations

import time
import warnings
from typing import Any

import numpy as np
from sklearn.linear_model import LogisticRegressionCV

from headstart.tasks.linear import STRENGTHS, LinearSolution, Problem
from headstart.tasks.logistic import FOLDS, solve_multinomial
from records import keep

SHAPES = ((600, 1280, 10), (1000, 3200, 10), (400, 1152, 5), (4000, 384, 2))


def target(rows: int, width: int, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Return features of low rank with noise, and labels drawn from a linear model of them."""
    random = np.random.default_rng(0)
    hidden = random.normal(size=(rows, 30))
    features = hidden @ random.normal(size=(30, width)) + random.normal(size=(rows, width))
    logits = hidden @ random.normal(size=(30, classes))
    labels = (logits + random.gumbel(size=logits.shape)).argmax(1)
    return features.astype(np.float32), labels


def compared(rows: int, width: int, classes: int) -> dict[str, Any]:
    """Time both; return the ratio and how far probabilities are apart at the same strength."""
    features, labels = target(rows, width, classes)
    standard = (features - features.mean(0)) / (features.std(0) + 1e-6)

    def solve(strength: float | None = None) -> LinearSolution:
        problem = Problem.of_features(features)
        return solve_multinomial(
            problem, labels, classes, np.arange(rows), seed=0, strength=strength
        )

    started = time.perf_counter()
    ours = solve()
    seconds = time.perf_counter() - started
    started = time.perf_counter()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        theirs = LogisticRegressionCV(
            Cs=list(STRENGTHS), cv=FOLDS, scoring="neg_log_loss", max_iter=1000
        ).fit(standard, labels)
    their_seconds = time.perf_counter() - started
    strength = float(np.ravel(theirs.C_)[0])
    # of two classes scikit-learn keeps one vector of weights, of which ours are the two halves
    equal = strength / 2 if classes == 2 else strength
    same = solve(equal)
    logits = features @ same.weight.T + same.bias
    probability = np.exp(logits - logits.max(1, keepdims=True))
    probability /= probability.sum(1, keepdims=True)
    return {
        "rows": rows,
        "width": width,
        "classes": classes,
        "seconds": seconds,
        "scikit_learn_seconds": their_seconds,
        "times_faster": their_seconds / seconds,
        "strength": ours.strength,
        "scikit_learn_strength": strength,
        "largest_difference": float(np.abs(probability - theirs.predict_proba(standard)).max()),
    }


def main() -> None:
    """Compare all shapes and keep the table."""
    keep("linear_probe", {"shapes": [compared(*shape) for shape in SHAPES]})


if __name__ == "__main__":
    main()
