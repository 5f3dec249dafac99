"""Nested cross-validation: where so few rows are held out once that they would tell nothing.

Every row is held out once, by a model of the same recipe that learnt from all others. Such a model
is fitted as planned: no epoch is chosen by a handful of rows, which would tell nothing either.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import Any, TypeVar

import numpy as np
import torch
from torch import Tensor

from headstart.data.splits import nested_folds
from headstart.evidence.calibration import temperature
from headstart.evidence.nested import Answered
from headstart.recipes import Recipe
from headstart.search.trial import Bench, assign, reason_of
from headstart.training.learners import Assignment, Rows, learners, settle

UNITS = 320
"""Fewer units are not split into three parts: of fewer than 96 test rows the interval is wider than
ten points to either side."""
FEWEST = 15
"""Units below which there is nothing to deal."""
REPEATS = 5
"""Deals of the rows into folds, at most: as many as there is time for."""
Found = TypeVar("Found")
SHARE = 0.5
"""Share of the time left that the first deal of the cheapest two recipes may take."""


@dataclass(frozen=True)
class Fold:
    """A part of the rows that is held out.

    Attributes
    ----------
    learnt
        The other rows.
    held
        The rows that are held out.
    numbers
        (m,) of these among all rows.
    """

    learnt: Rows
    held: Rows
    numbers: np.ndarray


@dataclass(frozen=True)
class Deal:
    """Rows dealt into folds.

    Attributes
    ----------
    bench
        Which the trials on the folds share, but for the rows.
    rows
        All rows.
    fold_of
        (n,) fold in which a row is held out, or -1.
    folds
        The folds.
    """

    bench: Bench
    rows: Rows
    fold_of: np.ndarray
    folds: tuple[Fold, ...]

    @property
    def held(self) -> np.ndarray:
        """Return the numbers of the rows that are held out once."""
        return np.flatnonzero(self.fold_of >= 0)


def dealt(rows: Rows, bench: Bench, repeat: int) -> Deal:
    """Deal rows into folds, those of one unit into one."""
    fold_of = nested_folds(rows.data, bench.task.strata(rows.targets), bench.seed, repeat)
    folds = []
    for number in np.unique(fold_of[fold_of >= 0]).tolist():
        held, others = np.flatnonzero(fold_of == number), np.flatnonzero(fold_of != number)
        folds.append(Fold(rows.take(others), rows.take(held), held))
    return Deal(bench, rows, fold_of, tuple(folds))


def affordable(deal: Deal, recipes: Sequence[tuple[Recipe, str | None]], seconds: float) -> bool:
    """Say whether these recipes, each with its source, are done with a deal in so many seconds."""
    needed = 0.0
    for recipe, source in recipes:
        needed += forecast(deal, recipe, source, None)
        if needed > seconds:
            return False
    return True


def forecast(
    deal: Deal, recipe: Recipe, source: str | None, settled: dict[str, Any] | None
) -> float:
    """Return the seconds that a recipe will take for all folds; `settled` as for a trial."""
    if settled is None:
        settled = settle(assign(deal.bench, recipe, source, lambda: False))
    one = _assigned(deal, deal.folds[0], recipe, source, settled, lambda: False)
    return len(deal.folds) * learners.get(recipe.learner).forecast(one)


def _assigned(
    deal: Deal,
    fold: Fold,
    recipe: Recipe,
    source: str | None,
    settled: dict[str, Any],
    late: Callable[[], bool],
) -> Assignment:
    known = assign(deal.bench, recipe, source, late)
    return replace(known, train=(fold.learnt,), validation=None, settled=settled)


class Unfinished(Exception):
    """A recipe could not be carried out on every fold; the text says why."""


def hold_out(
    deal: Deal,
    recipe: Recipe,
    source: str | None,
    settled: dict[str, Any],
    late: Callable[[], bool],
) -> tuple[Answered, dict[str, Any]]:
    """Return what models of a recipe say of the rows held out; how outputs are adjusted by these.

    The outputs of a fold are adjusted by what the rows of the other folds ask for; a model that is
    fitted on all rows is to be adjusted by what all of them do, which is returned.

    Raises
    ------
    Unfinished
        If there is no model of a fold.
    """
    outputs = [
        _outputs(_assigned(deal, fold, recipe, source, settled, late), fold) for fold in deal.folds
    ]
    targets, bench = [fold.held.targets for fold in deal.folds], deal.bench
    found = dict[str, Any]()
    tune = bench.task.tuner(bench.metric, deal.rows.targets, bench.spec)
    if tune is not None:
        offsets, others = _by_others(tune, outputs, targets)
        outputs = [some + its for some, its in zip(outputs, others, strict=True)]
        found["offsets"] = offsets.tolist()
    if bench.task.decided(outputs[0], targets[0]) is not None:
        found["temperature"], each = _by_others(partial(_warmth, bench), outputs, targets)
        outputs = [some / its for some, its in zip(outputs, each, strict=True)]
    return answered(deal, outputs), found


def _outputs(assignment: Assignment, fold: Fold) -> Tensor:
    try:
        fitted = learners.get(assignment.recipe.learner).fit(assignment)
    except Exception as error:
        raise Unfinished(reason_of(error)) from None
    if fitted.cut_short:
        raise Unfinished("the deadline came")
    return fitted.model.outputs(fold.held.data)


def _by_others(
    find: Callable[[Tensor, np.ndarray], Found],
    outputs: Sequence[Tensor],
    targets: Sequence[np.ndarray],
) -> tuple[Found, list[Found]]:
    """Return what all rows ask for, and for each fold what those of the others do."""
    numbers = range(len(outputs))

    def by(some: Sequence[int]) -> Found:
        return find(
            torch.cat([outputs[i] for i in some]), np.concatenate([targets[i] for i in some])
        )

    return by(numbers), [by([i for i in numbers if i != without]) for without in numbers]


def _warmth(bench: Bench, outputs: Tensor, targets: np.ndarray) -> float:
    return temperature(lambda t: bench.loss(outputs / t, targets), len(outputs))


def answered(deal: Deal, outputs: Sequence[Tensor]) -> Answered:
    """Return what is said of the rows held out, from the outputs for those of each fold."""
    bench = deal.bench
    statistics, losses, sure, right = [], [], [], []
    for fold, said in zip(deal.folds, outputs, strict=True):
        targets = fold.held.targets
        statistics.append(bench.metric.statistics(said, targets))
        losses.append(np.full(len(targets), bench.loss(said, targets)))
        decided = bench.task.decided(said, targets)
        if decided is not None:
            sure.append(decided[0])
            right.append(decided[1])
    order = np.argsort(np.concatenate([fold.numbers for fold in deal.folds]))

    def joined(parts: list[np.ndarray]) -> np.ndarray:
        found: np.ndarray = np.concatenate(parts)[order]
        return found

    return Answered(
        joined(statistics),
        joined(losses),
        joined(sure) if sure else None,
        joined(right) if right else None,
    )
