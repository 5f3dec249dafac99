"""Classification of pictures and of texts: one class of two or more."""

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
from headstart.tasks.logistic import solve_multinomial
from headstart.tasks.metrics import CLASSIFICATION
from headstart.tasks.targets import FEWEST, are_numbers, require_rows
from headstart.tasks.thresholds import prior_shift

DECIDED = ("balanced_accuracy", "macro_f1")
"""Metrics of decisions for which the most probable class is not the best answer."""


@dataclass(frozen=True)
class Classification:
    """Binary and multi-class classification; outputs are logits, targets class numbers."""

    name: str
    modality: str
    output: Output = "pooled"
    default_metric: str = "accuracy"
    trivial: str = "always the most frequent answer"

    def metrics(self, spec: TargetSpec) -> Mapping[str, Metric]:
        """Return the metrics of classes."""
        return CLASSIFICATION

    def suits(self, dataset: Dataset) -> float:
        """One column of texts is taken for classes unless another task is surer."""
        if dataset.modality != self.modality or len(dataset.targets) != 1:
            return 0.0
        return 0.5 if all(isinstance(v, str) for v in dataset.targets[0].values) else 0.0

    def validate(self, dataset: Dataset) -> tuple[Dataset, TargetSpec]:
        """Return the data set, with a note on classes of few rows, and the classes, sorted."""
        where = f"{dataset.path}: "
        dataset = _learnable(dataset)
        column, values = dataset.targets[0], _classes_of(dataset)
        counts = Counter(values)
        classes = sorted(counts)
        require_rows(dataset)
        if len(classes) < 2:
            raise DataError(
                f"{where}there is only one class, {classes[0]!r}; at least two are needed."
            )
        unit_of = units_of(dataset)
        distinct = {
            c: len({u for u, v in zip(unit_of.tolist(), values, strict=True) if v == c})
            for c in classes
        }
        enough = [c for c in classes if distinct[c] >= FEWEST]
        if len(enough) < 2:
            raise DataError(
                f"{where}{len(classes)} classes in {len(dataset)} rows, and fewer than two of them "
                f"have {FEWEST} distinct rows. Is {column.name!r} the label, or an identifier? "
                "(--label COL)"
            )
        notes = [*dataset.notes]
        rare = [f"{c!r} ({distinct[c]})" for c in classes if distinct[c] < FEWEST]
        if rare:
            notes.append(
                f"classes with fewer than {FEWEST} distinct rows are learnt from but cannot be "
                f"tested: {', '.join(rare[:8])}{' …' if len(rare) > 8 else ''}"
            )
        if len(classes) > 2 and are_numbers(values):
            notes.append(
                f"the labels are numbers of {len(classes)} kinds, taken as classes "
                f"(--task {self.modality}-regression takes them as quantities)"
            )
        return replace(dataset, notes=tuple(notes)), {"name": column.name, "classes": classes}

    def unknown(self, dataset: Dataset, spec: TargetSpec) -> dict[int, str]:
        """Return the rows of classes that were not there when the target was learnt."""
        known = set(spec["classes"])
        return {
            i: f"the model does not know the label {value!r}"
            for i, value in enumerate(_classes_of(dataset))
            if value not in known
        }

    def encode(self, dataset: Dataset, spec: TargetSpec) -> np.ndarray:
        """Return class numbers (rows,) int64; -1 for a label that is no known class."""
        number = {c: i for i, c in enumerate(spec["classes"])}
        return np.array([number.get(v, -1) for v in _classes_of(dataset)], np.int64)

    def strata(self, targets: np.ndarray) -> np.ndarray:
        """Return the class numbers."""
        return targets

    def head(self, width: int, spec: TargetSpec) -> HeadSpec:
        """Return a linear layer with one output a class."""
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
        """Return multinomial logistic regression."""
        classes, weights = len(spec["classes"]), spec.get("class_weights")
        return solve_multinomial(
            problem, targets, classes, units, seed, strengths, strength, weights
        )

    def loss(
        self, outputs: Tensor, targets: Tensor, spec: TargetSpec, smoothing: float = 0.0
    ) -> Tensor:
        """Return the mean cross-entropy, by class weights where there are any."""
        weights = spec.get("class_weights")
        return torch.nn.functional.cross_entropy(
            outputs,
            targets,
            weight=None if weights is None else outputs.new_tensor(weights),
            label_smoothing=smoothing,
        )

    def weighted(self, targets: np.ndarray, spec: TargetSpec) -> TargetSpec:
        """Return weights inverse to the classes' rows, one on average (scikit-learn's "balanced").

        A class without rows weighs 1.
        """
        counts = np.bincount(targets, minlength=len(spec["classes"]))
        seen = (counts > 0).sum()
        weights = np.where(counts > 0, len(targets) / (seen * np.maximum(counts, 1)), 1.0)
        return {**spec, "class_weights": weights.tolist()}

    def tuner(self, metric: Metric, targets: np.ndarray, spec: TargetSpec) -> TuneDecision | None:
        """Return logit adjustment for metrics in which rare classes count like frequent ones."""
        if metric.name not in DECIDED:
            return None
        counts = np.bincount(targets, minlength=len(spec["classes"]))
        # a class that was never learnt must not gain by being rare
        return prior_shift(metric, np.where(counts > 0, counts, counts.max()) / len(targets))

    def constant(self, targets: np.ndarray, spec: TargetSpec) -> Model:
        """Return the class frequencies as logits: the majority class wins."""
        counts = np.bincount(targets, minlength=len(spec["classes"])) + 0.5
        return Constant(torch.from_numpy(np.log(counts / counts.sum())))

    def decided(self, outputs: Tensor, targets: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return the probability of the class that is said, and whether it is the row's."""
        sure, said = outputs.double().softmax(1).max(1)
        return sure.numpy()[:, None], (said.numpy() == targets)[:, None]

    def differ(self, a: np.ndarray, b: np.ndarray) -> np.ndarray:
        """Say which pairs are of different classes."""
        return a != b

    def suspects(self, outputs: Tensor, targets: np.ndarray, spec: TargetSpec) -> dict[int, str]:
        """Return the rows that confident learning takes for mislabelled, with the likeliest class.

        Northcutt, Jiang and Chuang, Confident Learning: Estimating Uncertainty in Dataset Labels,
        JAIR 70, 2021.
        """
        from cleanlab.filter import find_label_issues

        seen, codes = np.unique(targets, return_inverse=True)
        probability = outputs[:, torch.from_numpy(seen)].double().softmax(1).numpy()
        rows = find_label_issues(
            codes,
            probability,
            return_indices_ranked_by="self_confidence",
            n_jobs=1,
        )
        guesses = seen[probability[rows].argmax(1)]
        return {
            int(row): repr(spec["classes"][guess]) for row, guess in zip(rows, guesses, strict=True)
        }

    def decode(self, outputs: Tensor, spec: TargetSpec) -> list[dict[str, Any]]:
        """Return the most probable class of each row, and the probability of each class."""
        classes = spec["classes"]
        return [
            {
                "prediction": classes[int(row.argmax())],
                "probabilities": {c: round(float(p), 6) for c, p in zip(classes, row, strict=True)},
            }
            for row in outputs.softmax(1)
        ]


def _learnable(dataset: Dataset) -> Dataset:
    """Set given test rows aside whose class no other row has: it cannot be learnt.

    Raises
    ------
    DataError
        If that leaves no test row.
    """
    values, tested = _classes_of(dataset), [part == "test" for part in dataset.parts]
    known = {value for value, test in zip(values, tested, strict=True) if not test}
    if not known:
        return dataset  # there is nothing to learn from at all, which is said elsewhere
    strange = {i: v for i, v in enumerate(values) if tested[i] and v not in known}
    if strange and len(strange) == sum(tested):
        theirs, ours = (", ".join(map(repr, sorted(s)[:4])) for s in ({*strange.values()}, known))
        raise DataError(
            f"{dataset.path}: no test row has a class that could be learnt. Theirs are {theirs}, "
            f"those to learn from {ours}. Are both labelled in the same way?"
        )
    return dataset.without({i: f"no row to learn from is {v!r}" for i, v in strange.items()})


def _classes_of(dataset: Dataset) -> list[str]:
    """Return the class of each row. Raise `DataError` where there is not one column of one each."""
    kind = f"{dataset.modality}-multilabel"
    if len(dataset.targets) != 1:
        named = " and ".join(repr(column.name) for column in dataset.targets)
        raise DataError(
            f"{dataset.path}: classification takes one label column, not {named}. For columns of "
            f"0 and 1 use --task {kind}, for numbers --task {dataset.modality}-regression."
        )
    column = dataset.targets[0]
    values = [value for value in column.values if isinstance(value, str)]
    if len(values) < len(column.values):
        raise DataError(
            f"{dataset.path}: {column.name!r} holds lists of labels, and classification takes one "
            f"label a row. Use --task {kind}."
        )
    return values


for _modality in modalities.names():
    tasks.register(
        f"{_modality}-classification", Classification(f"{_modality}-classification", _modality)
    )
