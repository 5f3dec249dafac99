"""Metrics of classification, each as statistics by row and an aggregate under weights.

Weights stand for how often a row was drawn, so an aggregate under weights equals the plain metric
on the rows repeated that often. Classes that no row has under the weights do not count, as in
scikit-learn's metrics.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from headstart.tasks import Metric


def _correct(outputs: Tensor, targets: np.ndarray) -> np.ndarray:
    return (outputs.argmax(1).numpy() == targets).astype(np.float64)[:, None]


def _mean(statistics: np.ndarray, weights: np.ndarray) -> np.ndarray:
    mean: np.ndarray = weights @ statistics[:, 0] / weights.sum(1)
    return mean


def _pairs(outputs: Tensor, targets: np.ndarray) -> np.ndarray:
    """(rows, 3): the true class, the predicted class, and how many classes there are."""
    width = np.full(len(targets), outputs.shape[1])
    return np.stack([targets, outputs.argmax(1).numpy(), width], 1)


def _one_hot(codes: np.ndarray, width: int) -> np.ndarray:
    return np.eye(width)[codes.astype(int)]


def _counts(
    statistics: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return weighted counts (b, classes): rows of a class, predicted as it, and both."""
    width = int(statistics[0, 2])
    true, predicted = (_one_hot(statistics[:, i], width) for i in (0, 1))
    return weights @ true, weights @ predicted, weights @ (true * predicted)


def _mean_where(values: np.ndarray, present: np.ndarray) -> np.ndarray:
    total: np.ndarray = np.where(present, values, 0).sum(1) / np.maximum(present.sum(1), 1)
    return total


def _balanced(statistics: np.ndarray, weights: np.ndarray) -> np.ndarray:
    true, _, both = _counts(statistics, weights)
    return _mean_where(both / np.maximum(true, 1e-12), true > 0)


def _macro_f1(statistics: np.ndarray, weights: np.ndarray) -> np.ndarray:
    true, predicted, both = _counts(statistics, weights)
    return _mean_where(2 * both / np.maximum(true + predicted, 1e-12), true + predicted > 0)


def _log_losses(outputs: Tensor, targets: np.ndarray) -> np.ndarray:
    losses = torch.nn.functional.cross_entropy(
        outputs.double(), torch.from_numpy(targets).long(), reduction="none"
    )
    return losses.numpy()[:, None]


def _log_odds(outputs: Tensor, targets: np.ndarray) -> np.ndarray:
    """(rows, 1 + classes): the true class, then the log odds of each class against the rest.

    They order rows as probabilities do, which would be 1.0 for all rows that a model is sure of.
    """
    logits = outputs.double()
    logits = (
        logits - logits.max(1, keepdim=True).values
    )  # what is equal stays equal to the last bit
    rest = [
        torch.cat([logits[:, :c], logits[:, c + 1 :]], 1).logsumexp(1)
        for c in range(logits.shape[1])
    ]
    return np.column_stack([targets, (logits - torch.stack(rest, 1)).numpy()])


def _auroc(statistics: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Area under the ROC curve, averaged over classes against the rest (binary: of class 1).

    It is the probability that a row of the class gets a higher score than another row, ties
    counting one half (Hanley and McNeil, Radiology 143, 1982). Without two classes: 0.5.
    """
    true, scores = statistics[:, 0].astype(int), statistics[:, 1:]
    classes = [1] if scores.shape[1] == 2 else range(scores.shape[1])
    areas, present = [], []
    for c in classes:
        levels, level_of = np.unique(scores[:, c], return_inverse=True)
        order = np.argsort(level_of, kind="stable")
        starts = np.searchsorted(level_of[order], np.arange(len(levels)))
        ordered = weights[:, order]
        is_class = (true[order] == c).astype(np.float64)
        positive = np.add.reduceat(ordered * is_class, starts, axis=1)
        negative = np.add.reduceat(ordered * (1 - is_class), starts, axis=1)
        below = np.cumsum(negative, axis=1) - negative
        pairs = positive.sum(1) * negative.sum(1)
        won = (positive * (below + 0.5 * negative)).sum(1)
        areas.append(won / np.maximum(pairs, 1e-12))
        present.append(pairs > 0)
    found, there = np.stack(areas, 1), np.stack(present, 1)
    return np.where(there.any(1), _mean_where(found, there), 0.5)


CLASSIFICATION = {
    metric.name: metric
    for metric in (
        Metric("accuracy", True, _correct, _mean, proportion=True),
        Metric("balanced_accuracy", True, _pairs, _balanced),
        Metric("macro_f1", True, _pairs, _macro_f1),
        Metric("auroc", True, _log_odds, _auroc),
        Metric("log_loss", False, _log_losses, _mean),
    )
}
