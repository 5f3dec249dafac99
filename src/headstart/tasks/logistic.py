"""Logistic regression on fixed features, solved to the optimum: of classes, and of labels."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor

from headstart.data.splits import deal
from headstart.tasks import linear
from headstart.tasks.family import SIGMOID, SOFTMAX, Family
from headstart.tasks.linear import (
    STRENGTHS,
    AnyProblem,
    Features,
    LinearSolution,
    Problem,
    SparseProblem,
)
from headstart.tasks.matrix import Scaled
from headstart.tasks.streamed import Objective, optimum

FOLDS = 5
PAST = 1.03
"""Held-out loss, as a multiple of the least, at which weaker penalties are no longer tried."""
UNSEEN = -20.0
"""Logit of a class or a label without training rows."""


def solve_multinomial(
    problem: AnyProblem,
    targets: np.ndarray,
    classes: int,
    units: np.ndarray,
    seed: int,
    strengths: tuple[float, ...] = STRENGTHS,
    strength: float | None = None,
    class_weights: Sequence[float] | None = None,
) -> LinearSolution:
    """Fit multinomial logistic regression with L2 regularisation.

    Parameters
    ----------
    targets
        (n,) class numbers below `classes`; classes without rows get the lowest logits.
    units
        (n,) rows of equal number stay in one fold.
    strengths
        Those that are tried where `strength` is None.
    strength
        Inverse regularisation strength; None chooses the one with the least cross-validated log
        loss.
    class_weights
        How much a row of each class counts in the objective; all alike if None.
    """
    if isinstance(problem, SparseProblem):
        if strength is None:
            rows, few = problem.some(seed)
            strength = solve_multinomial(
                few, targets[rows], classes, units[rows], seed, strengths, None, class_weights
            ).strength
        counts = None if class_weights is None else dict(enumerate(class_weights))
        # of two classes scikit-learn has one vector of weights, whose penalty weighs twice
        as_much = 2 * strength if len(np.unique(targets)) == 2 else strength
        model = _scikit_learn(as_much, counts).fit(problem.features, targets)
        return LinearSolution(*logits_of(model, classes), strength)
    seen, codes = np.unique(targets, return_inverse=True)
    alike = np.ones(classes) if class_weights is None else np.array(class_weights, np.float64)
    truth = _Classes(torch.from_numpy(codes), torch.from_numpy(alike[seen]))
    solved = _solved(problem, SOFTMAX, truth, codes, units, seed, strengths, strength)
    return _among(solved, seen, np.full(classes, UNSEEN, np.float32))


def solve_labels(
    problem: AnyProblem,
    targets: np.ndarray,
    strata: np.ndarray,
    units: np.ndarray,
    seed: int,
    strengths: tuple[float, ...] = STRENGTHS,
    strength: float | None = None,
    class_weights: Sequence[Sequence[float]] | None = None,
) -> LinearSolution:
    """Fit one binary logistic regression with L2 regularisation for each label, all together.

    Parameters
    ----------
    targets
        (n, labels) zeros and ones. A label of one value only gets the surest logit for it.
    strata
        (n,) stratum of each row, by which rows are dealt into folds.
    strength
        scikit-learn's C, one for all labels: the sum of their losses says more about it than the
        few rows of a rare label do. None chooses as `solve_multinomial` does.
    class_weights
        (labels, 2) how much a row without and with each label counts; all alike if None.
    """
    if isinstance(problem, SparseProblem):
        if strength is None:
            rows, few = problem.some(seed)
            some = (targets[rows], strata[rows], units[rows])
            found = solve_labels(few, *some, seed, strengths, None, class_weights)
            strength = found.strength
        return _label_by_label(problem.features, targets, strength, class_weights)
    sure = _of_one_value(targets)
    learnt = np.setdiff1d(np.arange(targets.shape[1]), sure)
    counts = np.ones((targets.shape[1], 2)) if class_weights is None else np.array(class_weights)
    truth = _Labels(torch.from_numpy(targets[:, learnt]), torch.from_numpy(counts[learnt]))
    solved = _solved(problem, SIGMOID, truth, strata, units, seed, strengths, strength)
    bias = np.zeros(targets.shape[1], np.float32)
    for label in sure:
        bias[label] = _sure(targets[:, label])
    return _among(solved, learnt, bias)


def _among(solved: LinearSolution, learnt: np.ndarray, bias: np.ndarray) -> LinearSolution:
    """Return a solution for some outputs as one for all; the others always answer their `bias`."""
    weight = np.zeros((len(bias), solved.weight.shape[1]), np.float32)
    weight[learnt], bias[learnt] = solved.weight, solved.bias
    held_out = None
    if solved.held_out is not None:
        held_out = np.tile(bias, (len(solved.held_out), 1))
        held_out[:, learnt] = solved.held_out
    return LinearSolution(weight, bias, solved.strength, held_out)


class _Truth(Protocol):
    """What the rows are."""

    @property
    def outputs(self) -> int:
        """Return the number of outputs."""

    def of(self, rows: slice | np.ndarray) -> tuple[Tensor, Tensor]:
        """Return zeros and ones (m, k), and how much they count (m, 1 or k), in float64."""


@dataclass(frozen=True)
class _Classes:
    """Class numbers (n,), and how much a row of each counts (k,)."""

    codes: Tensor
    counts: Tensor

    @property
    def outputs(self) -> int:
        return len(self.counts)

    def of(self, rows: slice | np.ndarray) -> tuple[Tensor, Tensor]:
        codes = self.codes[rows]
        hot = torch.nn.functional.one_hot(codes, self.outputs).double()
        return hot, self.counts[codes][:, None]


@dataclass(frozen=True)
class _Labels:
    """Zeros and ones (n, k), and how much a row counts without and with each label (k, 2)."""

    targets: Tensor
    counts: Tensor

    @property
    def outputs(self) -> int:
        return len(self.counts)

    def of(self, rows: slice | np.ndarray) -> tuple[Tensor, Tensor]:
        hot = self.targets[rows].double()
        without, having = self.counts.T
        return hot, torch.where(hot > 0, having, without)


def _solved(
    problem: Features | Problem,
    family: Family,
    truth: _Truth,
    strata: np.ndarray,
    units: np.ndarray,
    seed: int,
    strengths: tuple[float, ...],
    strength: float | None,
) -> LinearSolution:
    """Solve for all outputs of a problem.

    Up to `MOST` rows are held, in coordinates in which their Gram matrix is diagonal. Of more, a
    strength is chosen on so many, and all are then read piece by piece.
    """
    posed: Problem | Scaled
    if isinstance(problem, Problem):
        posed = problem
    else:
        posed = Scaled.of(problem.matrix) if problem.large else problem.posed()
    held_out = None
    if strength is None:
        some, fold_of = _dealt(strata, units, seed)
        few = posed.take(some) if isinstance(posed, Problem) else Problem.of_rows(posed, some)
        fit = _Fit.of(few, family, truth, some)
        strength, answers = fit.cross_validated(fold_of, len(strata), strengths)
        if len(some) == len(strata):
            held_out = np.empty_like(answers)
            held_out[some] = answers
    if isinstance(posed, Problem):
        everything = _Fit.of(posed, family, truth, slice(None))
        found = posed.in_features(everything.optimum(strength))
        return LinearSolution(*found, strength, held_out)
    w = optimum(Objective(posed, family, truth.of, strength), truth.outputs, seed)
    weight = w[:-1].T / posed.scale
    return LinearSolution(weight, w[-1] - weight @ posed.mean, strength)


def _dealt(strata: np.ndarray, units: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the rows that take part in choosing a strength, and the fold of each."""
    order = np.random.default_rng(seed).permutation(len(strata))
    some = order[: linear.MOST]
    return some, deal(strata, units, order, FOLDS)[some]


@dataclass(frozen=True)
class _Fit:
    """A problem with what its rows are: `hot` (n, k) truth, `weights` (n, 1 or k)."""

    problem: Problem
    family: Family
    hot: Tensor
    weights: Tensor

    @classmethod
    def of(cls, problem: Problem, family: Family, truth: _Truth, rows: slice | np.ndarray) -> _Fit:
        """Return the problem of some rows with their truth."""
        hot, weights = truth.of(rows)
        return cls(problem, family, hot.float(), weights.float())

    def optimum(self, strength: float) -> Tensor:
        """Return the coefficients (r + 1, k) on all rows."""
        everything = torch.ones(1, len(self.hot), 1)
        return self.optima(everything, strength, tolerance=1e-5, most=3000)[0]

    def optima(
        self,
        inside: Tensor,
        strength: float,
        tolerance: float,
        most: int,
        start: Tensor | None = None,
    ) -> Tensor:
        """Return the optima (p, r + 1, k) of `p` problems that differ in their rows.

        Newton steps with a fixed bound on the curvature (Böhning, Multinomial logistic regression
        algorithm, 1992), which is diagonal here and holds for every subset of the rows, accelerated
        by Nesterov's momentum with restarts (O'Donoghue and Candès, 2015). With weights the bound
        holds once multiplied by the largest of them.

        Parameters
        ----------
        inside
            (p, n, 1) 1 for the rows that take part in a problem, 0 for the others.
        strength
            Inverse regularisation strength.
        tolerance
            Largest step, as a share of the largest coefficient, at which the search ends.
        most
            Iterations at most.
        start
            (p, r + 1, k) where the search begins; at zero if None.
        """
        rows, spread, family = self.problem.rows, self.problem.spread, self.family
        weights = inside * self.weights * family.learnable(inside, self.hot)
        decay = torch.full((len(spread), 1), 1 / strength)
        decay[-1] = 0
        curvature = family.bound * self.weights.amax(0) * spread[:, None] + decay
        nowhere = torch.zeros(len(inside), len(spread), self.hot.shape[1])
        w = nowhere if start is None else start
        ahead, momentum = w.clone(), torch.ones(len(inside), 1, 1)
        for _ in range(most):
            wrong = (family.mean(_product(rows, ahead)) - self.hot) * weights
            step = (_back(rows, wrong) + decay * ahead) / curvature
            new = ahead - step
            uphill = (step * curvature * (new - w)).sum(family.own, keepdim=True) > 0
            momentum = torch.where(uphill, 1.0, momentum)
            faster = (1 + (1 + 4 * momentum.square()).sqrt()) / 2
            ahead = new + (momentum - 1) / faster * (new - w)
            w, momentum = new, faster
            moved = step.abs().amax(family.own) / w.abs().amax(family.own).clamp(1e-9)
            if bool((moved < tolerance).all()):
                break
        return w

    def cross_validated(
        self, fold_of: np.ndarray, rows: int, strengths: tuple[float, ...]
    ) -> tuple[float, np.ndarray]:
        """Return the strength with the least log loss over held-out folds, for `rows` rows.

        And the logits (n, k) under it, each row's by what did not learn from its fold.

        The folds are solved together, along the path from the strongest penalty to weaker ones,
        each begun where the last one ended. The path is left where the loss is clearly past its
        least.
        """
        inside = (torch.from_numpy(fold_of) != torch.arange(FOLDS)[:, None]).float()[:, :, None]
        outside = (1 - inside) * self.weights * self.family.learnable(inside, self.hot)
        held = torch.from_numpy(fold_of), torch.arange(len(fold_of))
        w, best, least = None, None, math.inf
        for strength in strengths:
            # fewer rows ask for a weaker penalty on their sum of losses: keep its weight a row
            scaled = strength * rows / len(self.hot)
            w = self.optima(inside, scaled, tolerance=1e-3, most=150, start=w)
            logits = _product(self.problem.rows, w)
            loss = float((self.family.losses(logits, self.hot) * outside).sum())
            if best is None or loss < least:
                best, least = (strength, logits[held].numpy()), loss
            elif loss > PAST * least:
                break
        assert best is not None
        return best


def _product(rows: Tensor, w: Tensor) -> Tensor:
    """Return the logits (p, n, k) of rows (n, r) under each of `w` (p, r, k).

    In one product of two matrices, the narrow one on the left: ten times as fast as `p` products
    in a batch, and for one `w` up to twice as fast as with the narrow matrix on the right.
    """
    p, r, k = w.shape
    found = w.transpose(1, 2).reshape(p * k, r) @ rows.T
    return found.view(p, k, len(rows)).transpose(1, 2)


def _back(rows: Tensor, wrong: Tensor) -> Tensor:
    """Return ``rows.T @ wrong`` (p, r, k) of rows (n, r) and each of `wrong` (p, n, k).

    With the narrow matrix on the left too, which is five times as fast.
    """
    p, n, k = wrong.shape
    found = wrong.transpose(1, 2).reshape(p * k, n) @ rows
    return found.view(p, k, rows.shape[1]).transpose(1, 2)


def _scikit_learn(strength: float, class_weight: dict[int, float] | None) -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=strength, max_iter=300, tol=1e-4, class_weight=class_weight)


def _label_by_label(
    features: Any,
    targets: np.ndarray,
    strength: float,
    class_weights: Sequence[Sequence[float]] | None,
) -> LinearSolution:
    weight = np.zeros((targets.shape[1], features.shape[1]), np.float32)
    bias = np.zeros(targets.shape[1], np.float32)
    alone = set(_of_one_value(targets))
    for label, truth in enumerate(targets.T.astype(int)):
        if label in alone:
            bias[label] = _sure(truth)
            continue
        counts = None if class_weights is None else dict(enumerate(class_weights[label]))
        model = _scikit_learn(strength, counts).fit(features, truth)
        weight[label], bias[label] = model.coef_[0], model.intercept_[0]
    return LinearSolution(weight, bias, strength)


def _of_one_value(targets: np.ndarray) -> list[int]:
    return np.flatnonzero(targets.min(0) == targets.max(0)).tolist()


def _sure(truth: np.ndarray) -> float:
    return UNSEEN if truth[0] == 0 else -UNSEEN


def logits_of(model: Any, classes: int) -> tuple[np.ndarray, np.ndarray]:
    """Return a fitted logistic regression as (classes, d) weights and (classes,) biases of logits.

    For two classes scikit-learn keeps one row, which stands for the difference of two logits.
    Classes that the model has not seen get a logit so low that they are never predicted.
    """
    w, b = model.coef_, model.intercept_
    if len(model.classes_) == 2:
        w, b = np.stack([-w[0] / 2, w[0] / 2]), np.stack([-b[0] / 2, b[0] / 2])
    weight = np.zeros((classes, w.shape[1]), np.float32)
    bias = np.full(classes, UNSEEN, np.float32)
    weight[model.classes_], bias[model.classes_] = w, b
    return weight, bias
