"""Floor 5: what kind of answer is wanted. One file a task; adding one touches nothing else."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np
from torch import Tensor

from headstart.data.dataset import Dataset
from headstart.errors import UsageError
from headstart.models import Model
from headstart.models.heads import HeadSpec
from headstart.registry import Registry
from headstart.sources.families import Output
from headstart.tasks.linear import AnyProblem, LinearSolution

TargetSpec = Mapping[str, Any]
"""What a task learnt of the target before training, as JSON data: its name, its classes, …"""


@dataclass(frozen=True)
class Metric:
    """A score by unit.

    Attributes
    ----------
    statistics
        (outputs, targets) -> (units, s) array: what each unit (row, utterance, …) contributes.
    aggregate
        (statistics, weights (b, units)) -> (b,) scores, one for each row of weights. Every interval
        and every paired comparison resamples these weights.
    proportion
        The score is a mean of zeros and ones.
    """

    name: str
    greater_is_better: bool
    statistics: Callable[[Tensor, np.ndarray], np.ndarray]
    aggregate: Callable[[np.ndarray, np.ndarray], np.ndarray]
    proportion: bool = False

    def score(self, outputs: Tensor, targets: np.ndarray) -> float:
        """Return the score with all units counting once."""
        statistics = self.statistics(outputs, targets)
        return float(self.aggregate(statistics, np.ones((1, len(statistics))))[0])

    def signed(self, score: float) -> float:
        """Return the score such that greater is better."""
        return score if self.greater_is_better else -score


TuneDecision = Callable[[Tensor, np.ndarray], Tensor]
"""(outputs, targets) -> (outputs,) offsets, with which the outputs decide best for a metric."""


class Task(Protocol):
    """What headstart must know of a kind of answer."""

    @property
    def name(self) -> str:
        """Registered name."""

    @property
    def modality(self) -> str:
        """What an input is."""

    @property
    def output(self) -> Output:
        """What the head takes of a backbone."""

    @property
    def default_metric(self) -> str:
        """The score that is used if the user names none."""

    @property
    def trivial(self) -> str:
        """What `constant` answers, in words, such as "always the most frequent answer"."""

    def metrics(self, spec: TargetSpec) -> Mapping[str, Metric]:
        """Return the scores by name."""

    def suits(self, dataset: Dataset) -> float:
        """Say how sure it is that the target is for this task, from 0 to 1.

        It is asked where the user names no task.
        """

    def validate(self, dataset: Dataset) -> tuple[Dataset, TargetSpec]:
        """Return the rows whose target is usable and what was learnt of the target.

        Raise `DataError` if the target cannot be learnt.
        """

    def unknown(self, dataset: Dataset, spec: TargetSpec) -> dict[int, str]:
        """Return the rows whose target `spec` has no way to say, each with the reason."""

    def encode(self, dataset: Dataset, spec: TargetSpec) -> np.ndarray:
        """Return the targets as an array whose first axis is the row."""

    def strata(self, targets: np.ndarray) -> np.ndarray:
        """Return the stratum of each row, which a split keeps in proportion."""

    def head(self, width: int, spec: TargetSpec) -> HeadSpec:
        """Return the head for features of `width` channels."""

    def solve_linear(
        self,
        problem: AnyProblem,
        targets: np.ndarray,
        units: np.ndarray,
        spec: TargetSpec,
        seed: int,
        strengths: tuple[float, ...],
        strength: float | None,
    ) -> LinearSolution | None:
        """Return the best linear head on fixed features.

        Where `strength` is None it is found by cross-validation, among `strengths` or on a path of
        the solver's own. A task whose heads have no such solution returns None, and they are
        trained by descent.
        """

    def loss(
        self, outputs: Tensor, targets: Tensor, spec: TargetSpec, smoothing: float = 0.0
    ) -> Tensor:
        """Return the mean loss of a batch."""

    def weighted(self, targets: np.ndarray, spec: TargetSpec) -> TargetSpec:
        """Return `spec` with weights under which rare classes count as much as frequent ones.

        Raise `UsageError` if the task has no classes.
        """

    def tuner(self, metric: Metric, targets: np.ndarray, spec: TargetSpec) -> TuneDecision | None:
        """Return how the decision is tuned to `metric`, given the training targets.

        None where the metric does not depend on a decision, or the usual one is meant.
        """

    def constant(self, targets: np.ndarray, spec: TargetSpec) -> Model:
        """Return the model that ignores its input."""

    def decided(self, outputs: Tensor, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray] | None:
        """Return how sure each decision of each row is, and whether it is right: (n, decisions).

        None where answers are not said with a probability.
        """

    def differ(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """Return (n,) whether the targets of pairs of rows contradict each other."""

    def suspects(self, outputs: Tensor, targets: np.ndarray, spec: TargetSpec) -> dict[int, str]:
        """Return the rows whose targets are probably wrong, the surest first, and what they may be.

        Parameters
        ----------
        outputs
            (n, outputs) of models that did not learn from the row.
        """

    def decode(self, outputs: Tensor, spec: TargetSpec) -> list[dict[str, Any]]:
        """Return one prediction a row, as JSON data with the key ``prediction``."""


_LISTED = 8
tasks: Registry[Task] = Registry("task", __name__)


def task_for(dataset: Dataset, name: str | None = None) -> Task:
    """Return the task called `name`, or the one that suits the data."""
    if name is not None:
        task = tasks.get(name)
        if task.modality != dataset.modality:
            raise UsageError(
                f"the task {name!r} is for {task.modality} inputs, but these are {dataset.modality}"
            )
        return task
    fitting = {task.name: task.suits(dataset) for task in tasks}
    best = max(fitting, key=lambda name: fitting[name])
    if not fitting[best]:
        columns = ", ".join(repr(column.name) for column in dataset.targets)
        raise UsageError(f"no task suits the target {columns}; known: {', '.join(tasks.names())}")
    return tasks.get(best)


def metric_for(task: Task, spec: TargetSpec, name: str | None = None) -> Metric:
    """Return the metric called `name`, or the task's own."""
    known = task.metrics(spec)
    chosen = name or task.default_metric
    if chosen not in known:
        listed = ", ".join(list(known)[:_LISTED]) + (", …" if len(known) > _LISTED else "")
        raise UsageError(f"{task.name} has no metric {chosen!r}; it has: {listed}")
    return known[chosen]
