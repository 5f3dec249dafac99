"""Nested cross-validation: where so few rows are held out once that they would tell nothing.

Every row is held out once, by a model of the same recipe that learnt from the others.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from headstart.data.splits import nested_folds, split
from headstart.digest import digest_data
from headstart.evidence.nested import Answered
from headstart.recipes import Recipe
from headstart.search.trial import Bench, assign, reason_of, refit, run_trial
from headstart.training.learners import Rows, learners, settle

UNITS = 320
"""Fewer units are not split into three parts: of fewer than 96 test rows the interval is wider than
ten points to either side."""
FEWEST = 15
"""Units below which there is nothing to deal."""
REPEATS = 5
"""Deals of the rows into folds, at most: as many as there is time for."""
SHARE = 0.5
"""Share of the time left that the first deal of the cheapest two recipes may take."""
AGAIN = 2.2
"""Models of a fold: one that settles what the recipe needs, and one fitted again on all its rows,
which are more."""


@dataclass(frozen=True)
class Fold:
    """A part of the rows that is held out.

    Attributes
    ----------
    bench
        The other rows, to learn from and to choose by.
    held
        The rows that are held out.
    numbers
        (m,) of these among all rows.
    """

    bench: Bench
    held: Rows
    numbers: np.ndarray


@dataclass(frozen=True)
class Deal:
    """Rows dealt into folds.

    Attributes
    ----------
    rows
        All rows.
    fold_of
        (n,) fold in which a row is held out, or -1.
    folds
        The folds.
    """

    rows: Rows
    fold_of: np.ndarray
    folds: tuple[Fold, ...]

    @property
    def held(self) -> np.ndarray:
        """Return the numbers of the rows that are held out once."""
        return np.flatnonzero(self.fold_of >= 0)


def dealt(rows: Rows, bench: Bench, repeat: int) -> Deal:
    """Deal rows into folds, those of one unit into one.

    Parameters
    ----------
    rows
        All rows that are used.
    bench
        Which the benches of the folds share all but the rows with.
    """
    strata = bench.task.strata(rows.targets)
    fold_of = nested_folds(rows.data, strata, bench.seed, repeat)
    folds = []
    for number in np.unique(fold_of[fold_of >= 0]).tolist():
        held, others = np.flatnonzero(fold_of == number), np.flatnonzero(fold_of != number)
        rest = rows.take(others)
        parts = split(rest.data, strata[others], bench.seed, tested=False)
        inner = replace(
            bench,
            train=rest.take(parts.train),
            validation=rest.take(parts.validation),
            split=digest_data([bench.split, repeat, number]),
        )
        folds.append(Fold(inner, rows.take(held), held))
    return Deal(rows, fold_of, tuple(folds))


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
    assignment = assign(deal.folds[0].bench, recipe, source, lambda: False)
    settled = settle(assignment) if settled is None else settled
    once = learners.get(recipe.learner).forecast(replace(assignment, settled=settled))
    return AGAIN * len(deal.folds) * once


class Unfinished(Exception):
    """A recipe could not be carried out on every fold; the text says why."""


def answered(deal: Deal, respond: Callable[[Fold], Tensor]) -> Answered:
    """Return what is said of the rows held out; `respond` gives the outputs for those of a fold."""
    statistics, losses, sure, right = [], [], [], []
    for fold in deal.folds:
        bench, targets = fold.bench, fold.held.targets
        outputs = respond(fold)
        statistics.append(bench.metric.statistics(outputs, targets))
        loss = float(bench.task.loss(outputs, torch.from_numpy(targets), bench.spec))
        losses.append(np.full(len(targets), loss))
        decided = bench.task.decided(outputs, targets)
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


def fitted_without(
    fold: Fold,
    recipe: Recipe,
    source: str | None,
    settled: dict[str, Any],
    late: Callable[[], bool],
) -> Tensor:
    """Return the outputs for a fold of a model that is fitted as the one that is handed back is.

    It is tried on a part of the other rows, chosen by the rest of them, and fitted again on all.

    Raises
    ------
    Unfinished
        If there is no such model.
    """
    assignment = replace(assign(fold.bench, recipe, source, late), settled=settled)
    tried = run_trial(assignment)
    if tried.fitted is None:
        raise Unfinished(tried.reason)
    try:
        again = refit(assignment, tried.fitted.settled, ())
    except Exception as error:
        raise Unfinished(reason_of(error)) from None
    if tried.fitted.cut_short or again.cut_short:
        raise Unfinished("the deadline came")
    return again.model.outputs(fold.held.data)
