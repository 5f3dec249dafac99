"""Floor 5: what kind of answer is wanted. One file a task; adding one touches nothing else."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
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
    def metrics(self) -> Mapping[str, Metric]:
        """Scores by name."""

    @property
    def default_metric(self) -> str:
        """The score that is used if the user names none."""

    def suits(self, dataset: Dataset) -> bool:
        """Say whether the target looks like this task (inference; the user may say otherwise)."""

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

    def solve_head(
        self,
        features: Tensor,
        targets: np.ndarray,
        units: np.ndarray,
        spec: TargetSpec,
        seed: int,
        strength: float | None,
    ) -> tuple[dict[str, Tensor], float] | None:
        """Return the state of the best head on frozen features, and its regularisation strength.

        The strength is found by cross-validation if None. A task whose head has no such solution
        returns None, and the head is trained by descent.
        """

    def loss(self, outputs: Tensor, targets: Tensor, smoothing: float = 0.0) -> Tensor:
        """Return the mean loss of a batch."""

    def constant(self, targets: np.ndarray, spec: TargetSpec) -> Model:
        """Return the model that ignores its input."""

    def decode(self, outputs: Tensor, spec: TargetSpec) -> list[dict[str, Any]]:
        """Return one prediction a row, as JSON data with the key ``prediction``."""


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
    fitting: Sequence[Task] = [task for task in tasks if task.suits(dataset)]
    if not fitting:
        raise UsageError(f"no task suits this target; known: {', '.join(tasks.names())}")
    return fitting[0]


def metric_for(task: Task, name: str | None = None) -> Metric:
    """Return the metric called `name`, or the task's own."""
    chosen = name or task.default_metric
    if chosen not in task.metrics:
        raise UsageError(f"{task.name} has no metric {chosen!r}; it has: {', '.join(task.metrics)}")
    return task.metrics[chosen]
