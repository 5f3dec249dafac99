"""Regression from pictures and from texts: one number, or several that are learnt together."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from headstart.data.dataset import Dataset
from headstart.data.modalities import modalities
from headstart.data.splits import units as units_of
from headstart.errors import DataError, UsageError
from headstart.models import Model
from headstart.models.constant import Constant
from headstart.models.heads import HeadSpec
from headstart.sources.families import Output
from headstart.tasks import Metric, TargetSpec, TuneDecision, tasks
from headstart.tasks.linear import AnyProblem, LinearSolution
from headstart.tasks.metrics import regression_metrics
from headstart.tasks.ridge import solve_ridge
from headstart.tasks.targets import (
    are_numbers,
    are_quantities,
    is_date,
    is_missing,
    number,
)
from headstart.wording import counted

FEWEST = 6
"""Distinct rows below which nothing can be learnt."""
BINS = 10
"""Strata at most: rows of like numbers."""
SUSPECT = 10.0
"""Error, as a multiple of the median one, beyond which a number is probably wrong: of errors that
are normally distributed, fewer than one in ten thousand million."""
TOLERANCE = 0.1
"""Standard deviations by which the numbers of one input may differ without being called so."""


@dataclass(frozen=True)
class Regression:
    """Numbers; outputs and targets are (rows, numbers) in standardised units.

    The mean and the scale that standardise are those of all rows but the user's own test rows. They
    tell a model nothing that it could use: a linear head with a bias, whose penalty does not see
    the bias, gives the same predictions under any shift and scale of its targets, for a network
    they set the starting point and the size of its steps, and the baseline answers the mean of the
    training rows.
    """

    name: str
    modality: str
    output: Output = "pooled"
    default_metric: str = "rmse"
    trivial: str = "always the mean"

    def metrics(self, spec: TargetSpec) -> Mapping[str, Metric]:
        """Return the metrics of numbers, in their own units."""
        return regression_metrics(spec["scale"])

    def suits(self, dataset: Dataset) -> float:
        """Numbers that measure are nearly sure; in several columns any numbers are."""
        if dataset.modality != self.modality or not dataset.targets:
            return 0.0
        decide = are_quantities if len(dataset.targets) == 1 else are_numbers
        return 0.9 if all(decide(column.values) for column in dataset.targets) else 0.0

    def validate(self, dataset: Dataset) -> tuple[Dataset, TargetSpec]:
        """Return the rows whose numbers are usable, and the outputs with their mean and scale."""
        where = f"{dataset.path}: "
        for column in dataset.targets:
            if not are_numbers(column.values):
                raise DataError(f"{where}{self._why_not(column.name, column.values)}")
        single = len(dataset.targets) == 1
        quantities = not single or are_quantities(dataset.targets[0].values)
        dataset = dataset.without(self.unknown(dataset, {}))
        if len(set(units_of(dataset).tolist())) < FEWEST:
            raise DataError(
                f"{where}only {counted(len(dataset), 'usable row')}; at least {FEWEST} distinct "
                "ones are needed, and some dozens before a result means much."
            )
        values = _numbers(dataset)
        known = np.array([part != "test" for part in dataset.parts])
        learnt = values[known] if known.any() else values
        with np.errstate(over="ignore", invalid="ignore"):
            mean, scale = learnt.mean(0), learnt.std(0)
        for column, centre, spread in zip(dataset.targets, mean, scale, strict=True):
            if spread <= 1e-9 * abs(centre) or not np.isfinite(spread):
                raise DataError(
                    f"{where}all numbers in {column.name!r} are {centre:g}: there is nothing to "
                    "learn. Is it the label? (--label COL)"
                    if np.isfinite(spread)
                    else f"{where}the numbers in {column.name!r} are too large to compute with."
                )
        names = [column.name for column in dataset.targets]
        notes = [*dataset.notes]
        if quantities and single:
            notes.append(
                f"the labels are numbers, taken as quantities (--task {self.modality}-"
                "classification takes them as classes)"
            )
        spec = {
            "name": ", ".join(names),
            "names": names,
            "mean": mean.tolist(),
            "scale": scale.tolist(),
        }
        return replace(dataset, notes=tuple(notes)), spec

    def unknown(self, dataset: Dataset, spec: TargetSpec) -> dict[int, str]:
        """Return the rows that lack a number."""
        several = len(dataset.targets) > 1
        found: dict[int, str] = {}
        for column in dataset.targets:
            for i, value in enumerate(column.values):
                reason = number(value)
                if isinstance(reason, str):
                    found.setdefault(i, f"{column.name!r}: {reason}" if several else reason)
        return found

    def encode(self, dataset: Dataset, spec: TargetSpec) -> np.ndarray:
        """Return the standardised numbers (rows, outputs) float32."""
        standard = (_numbers(_in_order(dataset, spec)) - spec["mean"]) / spec["scale"]
        return standard.astype(np.float32)

    def strata(self, targets: np.ndarray) -> np.ndarray:
        """Return bins of equal numbers of rows; several outputs are binned by their main direction.

        There are at most `BINS`, and no more than leave ten rows in each.
        """
        place = targets[:, 0]
        if targets.shape[1] > 1:
            direction = np.linalg.svd(targets - targets.mean(0), full_matrices=False)[2][0]
            place = targets @ (direction * np.sign(direction[np.abs(direction).argmax()]))
        bins = max(1, min(BINS, len(targets) // 10))
        edges = np.unique(np.quantile(place, np.arange(1, bins) / bins))
        return np.searchsorted(edges, place, side="right")

    def head(self, width: int, spec: TargetSpec) -> HeadSpec:
        """Return a linear layer with an output a number."""
        return HeadSpec("linear", width, len(spec["names"]))

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
        """Return ridge regression, whose strength is found on a path of its own."""
        return solve_ridge(problem, targets, units, seed, strength)

    def loss(
        self, outputs: Tensor, targets: Tensor, spec: TargetSpec, smoothing: float = 0.0
    ) -> Tensor:
        """Return the mean squared error in standardised units; there is nothing to smooth."""
        return torch.nn.functional.mse_loss(outputs, targets)

    def weighted(self, targets: np.ndarray, spec: TargetSpec) -> TargetSpec:
        """Numbers have no classes to weigh."""
        raise UsageError(f"--class-weights is for classes; {self.name} has none")

    def tuner(self, metric: Metric, targets: np.ndarray, spec: TargetSpec) -> TuneDecision | None:
        """Return None: a number is its own decision."""
        return None

    def constant(self, targets: np.ndarray, spec: TargetSpec) -> Model:
        """Return the mean of the training rows."""
        return Constant(torch.from_numpy(targets.mean(0)))

    def decided(self, outputs: Tensor, targets: np.ndarray) -> None:
        """Return None: numbers are said without a probability."""

    def differ(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """Say in which pairs a number differs by over a tenth of its standard deviation."""
        found: np.ndarray = (np.abs(a - b) > TOLERANCE).any(1)
        return found

    def suspects(self, outputs: Tensor, targets: np.ndarray, spec: TargetSpec) -> dict[int, str]:
        """Return the rows of which an error is far beyond the usual ones."""
        errors = np.abs(outputs.double().numpy() - targets)
        usual = np.maximum(np.median(errors, axis=0), 1e-9)
        far = (errors / usual).max(1)
        rows = np.flatnonzero(far > SUSPECT)
        rows = rows[np.argsort(-far[rows])]
        said = self.decode(outputs[torch.from_numpy(rows)], spec)
        return {int(row): f"{one['prediction']}" for row, one in zip(rows, said, strict=True)}

    def decode(self, outputs: Tensor, spec: TargetSpec) -> list[dict[str, Any]]:
        """Return a number a row, or one for each name, with seven significant digits."""
        own = outputs.double().numpy() * spec["scale"] + spec["mean"]
        rows = [[float(f"{value:.7g}") for value in row] for row in own]
        if len(spec["names"]) == 1:
            return [{"prediction": row[0]} for row in rows]
        return [{"prediction": dict(zip(spec["names"], row, strict=True))} for row in rows]

    def _why_not(self, name: str, values: Any) -> str:
        """Return why a column cannot be learnt as numbers, and what to do."""
        said = [value for value in values if not is_missing(value)]
        if not said:
            return f"{name!r} holds no number at all. Is it the label? (--label COL)"
        if sum(map(is_date, said)) > len(said) / 2:
            return (
                f"{name!r} holds dates, such as {said[0]!r}. Write them as numbers, such as days "
                "since the first of them, and fit again."
            )
        reasons = [reason for reason in map(number, said) if isinstance(reason, str)]
        return (
            f"{len(reasons):,} of {len(said):,} labels in {name!r} are no plain numbers "
            f"({reasons[0]}). Write them as plain numbers, or use --task "
            f"{self.modality}-classification."
        )


def _in_order(dataset: Dataset, spec: TargetSpec) -> Dataset:
    """Return the data set with its columns in the order in which they were learnt, if so named."""
    named = {column.name: column for column in dataset.targets}
    if named.keys() != set(spec["names"]):
        return dataset
    return replace(dataset, targets=tuple(named[name] for name in spec["names"]))


def _numbers(dataset: Dataset) -> np.ndarray:
    """Return (rows, outputs) float64; every cell is known to be a number."""
    columns = [[number(value) for value in column.values] for column in dataset.targets]
    return np.array(columns, np.float64).T


for _modality in modalities.names():
    tasks.register(f"{_modality}-regression", Regression(f"{_modality}-regression", _modality))
