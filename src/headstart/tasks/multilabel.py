"""Multi-label classification of pictures and of texts: any number of labels a row."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from headstart.data.dataset import Dataset
from headstart.data.modalities import modalities
from headstart.data.splits import units as units_of
from headstart.errors import DataError
from headstart.models import Model
from headstart.models.constant import Constant
from headstart.models.heads import HeadSpec
from headstart.sources.families import Output
from headstart.tasks import Metric, TargetSpec, TuneDecision, tasks
from headstart.tasks.linear import AnyProblem, LinearSolution
from headstart.tasks.logistic import solve_labels
from headstart.tasks.metrics import multilabel_metrics
from headstart.tasks.targets import (
    FEWEST,
    any_delimiter,
    are_truths,
    delimiter_of,
    labels_of,
    require_rows,
    truth,
)
from headstart.tasks.thresholds import common_threshold, label_thresholds

FREQUENT = 30
"""Rows from which on a set of labels is a stratum of its own."""


@dataclass(frozen=True)
class MultiLabel:
    """Sets of labels; outputs are logits (rows, labels), targets zeros and ones (rows, labels).

    The target is one column whose cells are lists of labels or texts that a delimiter divides, or
    several columns of 0 and 1, whose names are then the labels.
    """

    name: str
    modality: str
    output: Output = "pooled"
    default_metric: str = "mAP"
    trivial: str = "always the same probabilities"

    def metrics(self, spec: TargetSpec) -> Mapping[str, Metric]:
        """Return the metrics of sets, and one for each label."""
        return multilabel_metrics(spec["classes"])

    def suits(self, dataset: Dataset) -> float:
        """Lists of labels and several columns of 0 and 1 are sure; a recurring delimiter nearly."""
        if dataset.modality != self.modality or not dataset.targets:
            return 0.0
        if len(dataset.targets) > 1:
            return 1.0 if all(are_truths(column.values) for column in dataset.targets) else 0.0
        values = dataset.targets[0].values
        if not all(isinstance(value, str) for value in values):
            return 1.0
        return 0.9 if delimiter_of(values) else 0.0

    def validate(self, dataset: Dataset) -> tuple[Dataset, TargetSpec]:
        """Return the usable rows and the labels, sorted (of columns: in their order)."""
        name = ", ".join(column.name for column in dataset.targets)
        columns = len(dataset.targets) > 1
        delimiter = None
        notes = [*dataset.notes]
        if columns:
            dataset = dataset.without(_neither(dataset))
            notes.append(f"each of the columns {name} is a label that a row has or has not")
        elif all(isinstance(value, str) for value in dataset.targets[0].values):
            delimiter = any_delimiter(dataset.targets[0].values)
            notes.append(
                f"a row's labels are divided by {delimiter!r} "
                f"(--task {self.modality}-classification takes each as one class)"
                if delimiter
                else f"{name!r} holds one label a row: nothing divides several"
            )
        spec: dict[str, Any] = {"name": name, "columns": columns, "delimiter": delimiter}
        sets = _sets(dataset, spec)
        labels = (
            [column.name for column in dataset.targets] if columns else sorted(set().union(*sets))
        )
        require_rows(dataset)
        notes += _rare(dataset, name, labels, sets)
        return replace(dataset, notes=tuple(notes)), {**spec, "classes": labels}

    def unknown(self, dataset: Dataset, spec: TargetSpec) -> dict[int, str]:
        """Return the rows with labels that were not there when the target was learnt."""
        if spec["columns"]:
            return _neither(dataset)
        known = set(spec["classes"])
        strange = {i: sorted(found - known) for i, found in enumerate(_sets(dataset, spec))}
        return {i: f"the model does not know the label {s[0]!r}" for i, s in strange.items() if s}

    def encode(self, dataset: Dataset, spec: TargetSpec) -> np.ndarray:
        """Return (rows, labels) float32, 1 for a label of a row; those not known are left out."""
        number = {label: i for i, label in enumerate(spec["classes"])}
        found = np.zeros((len(dataset), len(number)), np.float32)
        for row, labels in enumerate(_sets(dataset, spec)):
            found[row, [number[label] for label in labels if label in number]] = 1
        return found

    def strata(self, targets: np.ndarray) -> np.ndarray:
        """Return for each row its set of labels where that is frequent, else its rarest label."""
        return strata_of_labels(targets)

    def head(self, width: int, spec: TargetSpec) -> HeadSpec:
        """Return a linear layer with one output a label."""
        return HeadSpec("linear", width, len(spec["classes"]))

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
        """Return a binary logistic regression for each label."""
        strata, weights = strata_of_labels(targets), spec.get("class_weights")
        return solve_labels(problem, targets, strata, units, seed, strengths, strength, weights)

    def loss(
        self, outputs: Tensor, targets: Tensor, spec: TargetSpec, smoothing: float = 0.0
    ) -> Tensor:
        """Return the mean binary cross-entropy, by class weights where there are any."""
        weights = None
        if "class_weights" in spec:
            without, having = outputs.new_tensor(spec["class_weights"]).T
            weights = torch.where(targets > 0, having, without)
        smooth = targets * (1 - smoothing) + smoothing / 2
        return torch.nn.functional.binary_cross_entropy_with_logits(outputs, smooth, weights)

    def weighted(self, targets: np.ndarray, spec: TargetSpec) -> TargetSpec:
        """Return for each label weights inverse to the rows without and with it."""
        rows, having = len(targets), targets.sum(0)
        counts = np.stack([rows - having, having], 1)
        return {**spec, "class_weights": (rows / (2 * np.maximum(counts, 1))).tolist()}

    def tuner(self, metric: Metric, targets: np.ndarray, spec: TargetSpec) -> TuneDecision | None:
        """Return a threshold a label for the mean of their F1, a common one for other decisions."""
        if metric.name == "macro_f1":
            return label_thresholds(metric)
        return common_threshold(metric) if metric.name in ("micro_f1", "subset_accuracy") else None

    def constant(self, targets: np.ndarray, spec: TargetSpec) -> Model:
        """Return the labels' frequencies as logits."""
        share = torch.from_numpy((targets.sum(0) + 0.5) / (len(targets) + 1.0))
        return Constant(torch.logit(share))

    def decided(self, outputs: Tensor, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return for each label the probability of what is said, and whether that is right."""
        probability = outputs.double().sigmoid().numpy()
        return np.maximum(probability, 1 - probability), (outputs.numpy() > 0) == (targets > 0)

    def differ(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """Say which pairs have different sets of labels."""
        found: np.ndarray = (a != b).any(1)
        return found

    def suspects(self, outputs: Tensor, targets: np.ndarray, spec: TargetSpec) -> dict[int, str]:
        """Return the rows that confident learning, label by label, takes for mislabelled.

        Thyagarajan et al., Identifying Incorrect Annotations in Multi-Label Classification Data,
        2022.
        """
        from cleanlab.multilabel_classification.filter import find_label_issues

        probability = outputs.double().sigmoid().numpy()
        having = [np.flatnonzero(row).tolist() for row in targets]
        rows = find_label_issues(
            having, probability, return_indices_ranked_by="self_confidence", n_jobs=1
        )
        said = (row["prediction"] for row in self.decode(outputs[torch.from_numpy(rows)], spec))
        return {int(row): repr("|".join(labels)) for row, labels in zip(rows, said, strict=True)}

    def decode(self, outputs: Tensor, spec: TargetSpec) -> list[dict[str, Any]]:
        """Return the labels of each row whose logit is above 0, and the probability of each."""
        labels = spec["classes"]
        return [
            {
                "prediction": [label for label, z in zip(labels, row, strict=True) if z > 0],
                "probabilities": {
                    label: round(float(p), 6)
                    for label, p in zip(labels, row.sigmoid(), strict=True)
                },
            }
            for row in outputs
        ]


def _sets(dataset: Dataset, spec: TargetSpec) -> list[frozenset[str]]:
    """Return the labels of each row."""
    if spec["columns"]:
        return [
            frozenset(column.name for column in dataset.targets if truth(column.values[i]))
            for i in range(len(dataset))
        ]
    return [labels_of(value, spec["delimiter"]) for value in dataset.targets[0].values]


def _neither(dataset: Dataset) -> dict[int, str]:
    """Return the rows in which a column says neither yes nor no."""
    return {
        i: f"{column.name!r} is {column.values[i]!r}, neither yes nor no (1, 0, true, false)"
        for column in dataset.targets
        for i in range(len(dataset))
        if truth(column.values[i]) is None
    }


def _rare(dataset: Dataset, name: str, labels: list[str], sets: list[frozenset[str]]) -> list[str]:
    """Return a note on labels of few rows. Raise `DataError` where all are of few."""
    units = units_of(dataset).tolist()
    everywhere = len(set(units))
    members: dict[str, set[int]] = {label: set() for label in labels}
    for unit, found in zip(units, sets, strict=True):
        for label in found:
            members[label].add(unit)
    rare = [label for label in labels if not FEWEST <= len(members[label]) <= everywhere - FEWEST]
    if len(rare) == len(labels):
        raise DataError(
            f"{dataset.path}: {len(labels)} labels in {len(dataset)} rows, and none of them with "
            f"{FEWEST} distinct rows that have it and {FEWEST} that have not. "
            f"Is {name!r} the label, or an identifier? (--label COL)"
        )
    if not rare:
        return []
    counts = Counter({label: len(members[label]) for label in rare})
    shown = ", ".join(f"{label!r} ({counts[label]})" for label in rare[:8])
    return [
        f"labels that fewer than {FEWEST} distinct rows have, or have not, can hardly be learnt or "
        f"tested: {shown}{' …' if len(rare) > 8 else ''}"
    ]


def strata_of_labels(targets: np.ndarray) -> np.ndarray:
    """Return the stratum of each row, for sets of labels (rows, labels) of zeros and ones.

    Frequent sets are strata of their own; the other rows go by their rarest label, since it is the
    rare labels that a split by chance leaves out of a part (as in Sechidis, Tsoumakas and Vlahavas,
    On the stratification of multi-label data, ECML 2011). A stratum of fewer than three rows of a
    label that has more joins the largest one, so that its rows can be tested on.
    """
    sets, set_of, size = np.unique(targets > 0, axis=0, return_inverse=True, return_counts=True)
    set_of = set_of.ravel()
    labels = targets.shape[1]
    rows_of = (targets > 0).sum(0)
    rarest = np.array([_rarest(row, rows_of, labels) for row in sets])
    strata = np.where(size >= FREQUENT, labels + 1 + np.arange(len(sets)), rarest)[set_of]
    names, counts = np.unique(strata, return_counts=True)
    largest = names[counts.argmax()]
    for name, count in zip(names.tolist(), counts.tolist(), strict=True):
        if count < FEWEST and (name >= labels or rows_of[name] >= FEWEST):
            strata[strata == name] = largest
    return strata


def _rarest(row: np.ndarray, rows_of: np.ndarray, none: int) -> int:
    there = np.flatnonzero(row)
    return int(there[rows_of[there].argmin()]) if len(there) else none


for _modality in modalities.names():
    tasks.register(f"{_modality}-multilabel", MultiLabel(f"{_modality}-multilabel", _modality))
