"""Learners: they carry out recipes. One file each."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Protocol, runtime_checkable

import numpy as np
import torch
from torch import Tensor

from headstart.data.dataset import Dataset
from headstart.features.extract import Extractor
from headstart.models import Model
from headstart.recipes import Recipe
from headstart.registry import Registry
from headstart.tasks import Metric, TargetSpec, Task
from headstart.tasks.linear import AnyProblem, LinearSolution
from headstart.training.checkpoint import Checkpoint
from headstart.training.loop import Epoch


@dataclass(frozen=True)
class Rows:
    """Rows with their encoded targets and their units."""

    data: Dataset
    targets: np.ndarray
    units: np.ndarray

    def take(self, numbers: np.ndarray) -> Rows:
        """Return these rows, in this order."""
        return Rows(self.data.take(numbers.tolist()), self.targets[numbers], self.units[numbers])


PASSES = "passes"
"""Where it is settled how many epochs there is time for, if not for all."""
EPOCHS = "epochs"
"""Where a trial settles in how many epochs its recipe is carried out when it is fitted again."""
BEGUN = 64
"""Rows by which a writer settles what it must, such as their language, at most."""


def drawn(rows: int, most: int, seed: int) -> np.ndarray:
    """Return the numbers of a seeded draw of at most `most` of so many rows, in their order."""
    return np.sort(np.random.default_rng(seed).permutation(rows)[:most])


@dataclass(frozen=True)
class Assignment:
    """Everything a learner is given.

    Attributes
    ----------
    train
        In pieces: values of each piece are computed and cached once, whatever it is joined with.
    validation
        None when the winner is refitted on all rows; `settled` then holds what was found before.
    extractor
        Of the source (or of its architecture with random weights); None for small models.
    settled
        What was settled before, as JSON data: on this machine (numerics, views, rows at once), and
        for a refit by the trial on fewer rows (epochs, regularisation).
    choosing
        The validation rows choose which epoch is best, and whatever else training leaves open;
        else it is carried out as planned, and they only watch.
    late
        Says whether the deadline has come.
    checkpoint
        Where training is kept on its way; None keeps nothing.
    watch
        Receives each epoch of training.
    """

    recipe: Recipe
    task: Task
    spec: TargetSpec
    metric: Metric
    train: tuple[Rows, ...]
    validation: Rows | None
    extractor: Extractor | None
    seed: int
    settled: dict[str, Any] = field(default_factory=dict)
    choosing: bool = True
    late: Callable[[], bool] = lambda: False
    checkpoint: Checkpoint | None = None
    watch: Callable[[Epoch], None] = lambda _epoch: None

    @property
    def rows(self) -> int:
        """Return how many rows there are to learn from."""
        return sum(len(piece.targets) for piece in self.train)

    @property
    def carried_out(self) -> Recipe:
        """Return the recipe for that many rows, in as many epochs as were settled.

        Its learning rates fall to their end all the same: weights on the way there are worse on as
        many rows, and by how much is chance (``benchmarks/refitting.py``).
        """
        recipe = self.recipe.for_rows(self.rows)
        settled = [self.settled[name] for name in (PASSES, EPOCHS) if name in self.settled]
        return recipe.within(min(settled, default=recipe.epochs))

    @property
    def targets(self) -> np.ndarray:
        """Return the training targets of all pieces."""
        return np.concatenate([rows.targets for rows in self.train])

    @property
    def chance(self) -> int:
        """Return the seed of the order of rows and of what perturbs them, by the recipe's draw."""
        if not self.recipe.draw:
            return self.seed
        return int(np.random.SeedSequence([self.seed, self.recipe.draw]).generate_state(1)[0])

    @property
    def many(self) -> float:
        """Return how many times ten outputs there are, at least one: solving takes as much more."""
        return max(1.0, self.task.head(1, self.spec).outputs / 10)

    @property
    def units(self) -> np.ndarray:
        """Return the units of all pieces."""
        return np.concatenate([rows.units for rows in self.train])

    def solved(
        self,
        problem: AnyProblem,
        strengths: tuple[float, ...],
        rows: np.ndarray | slice = slice(None),
    ) -> LinearSolution | None:
        """Return the task's best linear head for a problem of training rows, if it has one.

        The strength of regularisation is the one that was settled, else one of `strengths`.
        """
        return self.task.solve_linear(
            problem,
            self.targets[rows],
            self.units[rows],
            self.spec,
            self.seed,
            strengths,
            self.settled.get("strength"),
        )

    def evaluator(
        self,
        outputs: Callable[[Rows], Tensor],
        losses: Callable[[Rows], float] | None = None,
    ) -> Callable[[], tuple[float, float]] | None:
        """Return what scores `outputs` on the validation rows, or None where there are none.

        It answers (signed score, loss); the loss is the task's unless `losses` returns another.
        """
        held = self.validation
        if held is None:
            return None

        def evaluate() -> tuple[float, float]:
            with torch.no_grad():
                found = outputs(held)
                if losses is not None:
                    loss = losses(held)
                else:
                    loss = float(self.task.loss(found, torch.from_numpy(held.targets), self.spec))
            return self.metric.signed(self.metric.score(found, held.targets)), loss

        return evaluate


@dataclass(frozen=True)
class Fitted:
    """What a learner returns: the model, and what the same recipe needs to be fitted again.

    `plan` is a picture of which stages trained when, a line each.
    """

    model: Model
    settled: dict[str, Any]
    cut: str
    cut_short: bool = False
    history: tuple[dict[str, Any], ...] = ()
    plan: tuple[str, ...] = ()


class Learner(Protocol):
    """Carries out one kind of recipe."""

    def forecast(self, assignment: Assignment) -> float:
        """Return the seconds that `fit` will take, from throughput measured here and now."""

    def fit(self, assignment: Assignment) -> Fitted:
        """Return the fitted model. Raise `OutOfTime` or `Diverged` if there is none."""


@runtime_checkable
class Settling(Learner, Protocol):
    """A learner for which something is to be settled on this machine before a trial begins."""

    def settle(self, assignment: Assignment) -> dict[str, Any]:
        """Return how the assignment is best carried out here, as JSON data.

        It is a part of the trial's specification. ``views`` in it may be lowered where time is
        short; without the key there are none.
        """


@runtime_checkable
class Choosy(Learner, Protocol):
    """A learner that cannot carry out every recipe from every source."""

    def refused(self, assignment: Assignment) -> str:
        """Return why it cannot carry an assignment out, or nothing where it can."""


learners: Registry[Learner] = Registry("learner", __name__)


def refused(assignment: Assignment) -> str:
    """Return why a recipe cannot be carried out from its source, or nothing where it can."""
    learner = learners.get(assignment.recipe.learner)
    return learner.refused(assignment) if isinstance(learner, Choosy) else ""


def settle(assignment: Assignment) -> dict[str, Any]:
    """Return what the recipe's learner settles on this machine, if it settles anything."""
    learner = learners.get(assignment.recipe.learner)
    return learner.settle(assignment) if isinstance(learner, Settling) else {}
