"""Metrics, each as statistics by row and an aggregate under weights.

Weights stand for how often a row was drawn, so an aggregate under weights equals the plain metric
on the rows repeated that often. Classes and labels that no row has under the weights do not count,
as in scikit-learn's metrics of classes (for labels: with its ``zero_division=nan``).
"""

from __future__ import annotations

from collections.abc import Sequence
from functools import partial

import numpy as np
import torch
from torch import Tensor

from headstart.tasks import Metric


def _correct(outputs: Tensor, targets: np.ndarray) -> np.ndarray:
    return (outputs.argmax(1).numpy() == targets).astype(np.float64)[:, None]


def mean_of_rows(statistics: np.ndarray, weights: np.ndarray) -> np.ndarray:
    mean: np.ndarray = weights @ statistics[:, 0] / weights.sum(1)
    return mean


def _pairs(outputs: Tensor, targets: np.ndarray) -> np.ndarray:
    """(rows, 3): the true class, the predicted class, and how many classes there are."""
    width = np.full(len(targets), outputs.shape[1])
    return np.stack([targets, outputs.argmax(1).numpy(), width], 1)


def _counts(
    statistics: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return weighted counts (b, classes): rows of a class, predicted as it, and both."""
    from scipy.sparse import csr_array

    true, predicted = statistics[:, 0].astype(int), statistics[:, 1].astype(int)
    rows, width = np.arange(len(true)), int(statistics[0, 2])

    def counted(codes: np.ndarray, numbers: np.ndarray) -> np.ndarray:
        # a matrix of one number a row: dense it would be as large as rows times classes
        hot = csr_array((np.ones(len(codes)), (codes, numbers)), shape=(width, len(true)))
        return np.ascontiguousarray((hot @ weights.T).T)

    right = true == predicted
    return counted(true, rows), counted(predicted, rows), counted(true[right], rows[right])


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
        Metric("accuracy", True, _correct, mean_of_rows, proportion=True),
        Metric("balanced_accuracy", True, _pairs, _balanced),
        Metric("macro_f1", True, _pairs, _macro_f1),
        Metric("auroc", True, _log_odds, _auroc),
        Metric("log_loss", False, _log_losses, mean_of_rows),
    )
}


def _whole_sets(outputs: Tensor, targets: np.ndarray) -> np.ndarray:
    return ((outputs.numpy() > 0) == (targets > 0)).all(1).astype(np.float64)[:, None]


def _decisions(outputs: Tensor, targets: np.ndarray) -> np.ndarray:
    """(rows, 2 labels): the labels that are there, then those that are said to be."""
    return np.concatenate([targets > 0, outputs.numpy() > 0], 1).astype(np.float64)


def _label_counts(
    statistics: np.ndarray, weights: np.ndarray
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return weighted counts (b, labels): rows that have a label, that are said to, and both."""
    true, said = np.split(statistics, 2, axis=1)
    return weights @ true, weights @ said, weights @ (true * said)


def _label_micro_f1(statistics: np.ndarray, weights: np.ndarray) -> np.ndarray:
    true, said, both = (count.sum(1) for count in _label_counts(statistics, weights))
    found: np.ndarray = 2 * both / np.maximum(true + said, 1e-12)
    return found


def _label_macro_f1(statistics: np.ndarray, weights: np.ndarray) -> np.ndarray:
    true, said, both = _label_counts(statistics, weights)
    return _mean_where(2 * both / np.maximum(true + said, 1e-12), true + said > 0)


def _label_scores(outputs: Tensor, targets: np.ndarray) -> np.ndarray:
    """(rows, 2 labels): the labels that are there, then their logits."""
    return np.concatenate([targets > 0, outputs.numpy()], 1).astype(np.float64)


def _average_precisions(
    statistics: np.ndarray, weights: np.ndarray, labels: Sequence[int]
) -> np.ndarray:
    """Mean over labels of the average precision; 0 where no row has any of them.

    It is the sum over distinct scores, the highest first, of the precision down to a score times
    the recall that it adds; rows of equal score enter together (scikit-learn's
    ``average_precision_score``).
    """
    true, scores = np.split(statistics, 2, axis=1)
    drawn = np.ascontiguousarray(weights.T)  # (rows, b): sums run down, over all b at once
    areas, present = [], []
    for label in labels:
        order = np.argsort(-scores[:, label], kind="stable")
        ranked = scores[order, label]
        ordered = drawn[order]
        having = np.flatnonzero(true[order, label])
        if not len(having):
            areas.append(np.zeros(len(weights)))
            present.append(np.zeros(len(weights), bool))
            continue
        ends = np.flatnonzero(np.append(ranked[1:] < ranked[:-1], True))
        # only where a row of the label enters is recall added
        entered = np.unique(ends[np.searchsorted(ends, having)])
        last = np.searchsorted(having, entered, side="right") - 1
        right = np.cumsum(ordered[having], axis=0)[last]
        taken = np.cumsum(ordered, axis=0)[entered]
        added = np.diff(right, axis=0, prepend=0)
        area = (added * right / np.maximum(taken, 1e-12)).sum(0)
        areas.append(area / np.maximum(right[-1], 1e-12))
        present.append(right[-1] > 0)
    return _mean_where(np.stack(areas, 1), np.stack(present, 1))


def multilabel_metrics(labels: Sequence[str]) -> dict[str, Metric]:
    """Return the metrics of sets of labels; outputs are logits, of which those above 0 are said.

    ``mAP`` and those of single labels look at the order of rows alone, the others at decisions.
    """
    found = [
        Metric("mAP", True, _label_scores, partial(_average_precisions, labels=range(len(labels)))),
        Metric("micro_f1", True, _decisions, _label_micro_f1),
        Metric("macro_f1", True, _decisions, _label_macro_f1),
        Metric("subset_accuracy", True, _whole_sets, mean_of_rows, proportion=True),
    ]
    for i, label in enumerate(labels):
        one = partial(_average_precisions, labels=[i])
        found.append(Metric(f"average_precision({label})", True, _label_scores, one))
    return {metric.name: metric for metric in found}


def _errors(outputs: Tensor, targets: np.ndarray) -> np.ndarray:
    """(rows, 2 k): what is said less what is true, then what is true, in standardised units."""
    true = targets.astype(np.float64)
    return np.concatenate([outputs.double().numpy() - true, true], 1)


def _rmse(statistics: np.ndarray, weights: np.ndarray, scale: np.ndarray) -> np.ndarray:
    error, _ = np.split(statistics, 2, axis=1)
    squares = weights @ np.square(error) / weights.sum(1, keepdims=True)
    found: np.ndarray = (np.sqrt(squares) * scale).mean(1)
    return found


def _mae(statistics: np.ndarray, weights: np.ndarray, scale: np.ndarray) -> np.ndarray:
    error, _ = np.split(statistics, 2, axis=1)
    found: np.ndarray = (weights @ np.abs(error) / weights.sum(1, keepdims=True) * scale).mean(1)
    return found


def _r2(statistics: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Share of the variance that is explained, about the mean under the weights.

    For rows of one value it is 1 or 0, as scikit-learn has it.
    """
    error, true = np.split(statistics, 2, axis=1)
    rows = weights.sum(1, keepdims=True)
    about = weights @ np.square(true) - (weights @ true) ** 2 / rows
    missed = weights @ np.square(error)
    varied = about > 1e-12 * rows
    explained = 1 - missed / np.where(varied, about, 1.0)
    found: np.ndarray = np.where(varied, explained, missed <= 1e-12 * rows).mean(1)
    return found


def regression_metrics(scale: Sequence[float]) -> dict[str, Metric]:
    """Return the metrics of numbers, each output in its own units, then averaged over outputs.

    Parameters
    ----------
    scale
        What one is in standardised units, for each output.
    """
    units = np.asarray(scale, np.float64)
    found = (
        Metric("rmse", False, _errors, partial(_rmse, scale=units)),
        Metric("mae", False, _errors, partial(_mae, scale=units)),
        Metric("r2", True, _errors, _r2),
    )
    return {metric.name: metric for metric in found}
