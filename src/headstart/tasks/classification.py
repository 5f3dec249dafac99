"""Classification of pictures and of texts: one class of two or more."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import torch
from torch import Tensor

from headstart.data.dataset import Dataset
from headstart.data.splits import units as units_of
from headstart.errors import DataError
from headstart.models import Model
from headstart.models.constant import Constant
from headstart.models.heads import HeadSpec
from headstart.sources.families import Output
from headstart.tasks import Metric, TargetSpec, tasks
from headstart.tasks.linear import solve
from headstart.tasks.metrics import CLASSIFICATION

FEWEST = 3
"""Distinct rows a class needs so that it can be learnt from, chosen by and tested on."""


@dataclass(frozen=True)
class Classification:
    """Binary and multi-class classification; outputs are logits, targets class numbers."""

    name: str
    modality: str
    output: Output = "pooled"
    default_metric: str = "accuracy"
    metrics: Mapping[str, Metric] = field(default_factory=lambda: CLASSIFICATION)

    def suits(self, dataset: Dataset) -> bool:
        """Every target that was read so far is a column of labels."""
        return dataset.modality == self.modality

    def validate(self, dataset: Dataset) -> tuple[Dataset, TargetSpec]:
        """Return the data set, with a note on classes of few rows, and the classes, sorted."""
        column = dataset.targets[0]
        where = f"{dataset.path}: "
        counts = Counter(column.values)
        classes = sorted(counts)
        if len(dataset) < 2 * FEWEST:
            raise DataError(
                f"{where}only {len(dataset)} usable rows; at least {2 * FEWEST} are needed, "
                "and some dozens before a result means much."
            )
        if len(classes) < 2:
            raise DataError(
                f"{where}there is only one class, {classes[0]!r}; at least two are needed."
            )
        unit_of = units_of(dataset)
        distinct = {
            c: len({u for u, v in zip(unit_of.tolist(), column.values, strict=True) if v == c})
            for c in classes
        }
        enough = [c for c in classes if distinct[c] >= FEWEST]
        if len(enough) < 2:
            raise DataError(
                f"{where}{len(classes)} classes in {len(dataset)} rows, and fewer than two of them "
                f"have {FEWEST} distinct rows. Is {column.name!r} the label? (--label COL)"
            )
        rare = [f"{c!r} ({distinct[c]})" for c in classes if distinct[c] < FEWEST]
        if rare:
            note = (
                f"classes with fewer than {FEWEST} distinct rows are learnt from but cannot be "
                f"tested: {', '.join(rare[:8])}{' …' if len(rare) > 8 else ''}"
            )
            dataset = replace(dataset, notes=(*dataset.notes, note))
        return dataset, {"name": column.name, "classes": classes}

    def unknown(self, dataset: Dataset, spec: TargetSpec) -> dict[int, str]:
        """Return the rows of classes that were not there when the target was learnt."""
        known = set(spec["classes"])
        return {
            i: f"the model does not know the label {value!r}"
            for i, value in enumerate(dataset.targets[0].values)
            if value not in known
        }

    def encode(self, dataset: Dataset, spec: TargetSpec) -> np.ndarray:
        """Return class numbers (rows,) int64; -1 for a label that is no known class."""
        number = {c: i for i, c in enumerate(spec["classes"])}
        return np.array([number.get(v, -1) for v in dataset.targets[0].values], np.int64)

    def strata(self, targets: np.ndarray) -> np.ndarray:
        """Return the class numbers."""
        return targets

    def head(self, width: int, spec: TargetSpec) -> HeadSpec:
        """Return a linear layer with one output a class."""
        return HeadSpec("linear", width, len(spec["classes"]))

    def solve_head(
        self,
        features: Tensor,
        targets: np.ndarray,
        units: np.ndarray,
        spec: TargetSpec,
        seed: int,
        strength: float | None,
    ) -> tuple[dict[str, Tensor], float] | None:
        """Return multinomial logistic regression as the state of a linear head."""
        found = solve(
            features.float().numpy(), targets, len(spec["classes"]), units, seed, strength
        )
        state = {
            "linear.weight": torch.from_numpy(found.weight),
            "linear.bias": torch.from_numpy(found.bias),
        }
        return state, found.strength

    def loss(self, outputs: Tensor, targets: Tensor, smoothing: float = 0.0) -> Tensor:
        """Return the mean cross-entropy."""
        return torch.nn.functional.cross_entropy(outputs, targets, label_smoothing=smoothing)

    def constant(self, targets: np.ndarray, spec: TargetSpec) -> Model:
        """Return the class frequencies as logits: the majority class wins."""
        counts = np.bincount(targets, minlength=len(spec["classes"])) + 0.5
        return Constant(torch.from_numpy(np.log(counts / counts.sum())))

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


for _modality in ("image", "text", "image+text"):
    _name = f"{_modality}-classification"
    tasks.register(_name, Classification(_name, _modality))
