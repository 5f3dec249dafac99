"""The audit: what is wrong with the data, row by row, and what headstart does about it.

A check is one file that registers itself. All of them look at rows that were embedded already.
"""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any, Literal

import numpy as np
from torch import Tensor

from headstart.data.dataset import Dataset, SetAside
from headstart.data.modalities import modalities
from headstart.data.splits import units
from headstart.evidence.folds import out_of_fold
from headstart.evidence.neighbours import Neighbours, directed, gathered, neighbours
from headstart.registry import Registry
from headstart.tasks import TargetSpec, Task
from headstart.tasks.matrix import Chosen, Matrix

Severity = Literal["serious", "warning", "note"]
SEVERITIES: tuple[Severity, ...] = ("serious", "warning", "note")
SKETCHED = 2_048
"""Rows whose sketches are made at a time."""
LISTED = 20
"""Rows of a finding that are told in results."""


@dataclass(frozen=True)
class Finding:
    """Something that is wrong with the data, or may be.

    Attributes
    ----------
    check
        Which check found it.
    severity
        ``serious`` where scores or models cannot be trusted, ``warning`` where rows should be
        looked at, ``note`` else.
    says, does
        What was found, and what headstart does about it, a sentence each.
    rows
        Numbers of the rows, the worst first.
    told
        What is to be said of each of these rows.
    aside
        Rows that are not used, with the same.
    """

    check: str
    severity: Severity
    says: str
    does: str
    rows: tuple[int, ...] = ()
    told: tuple[str, ...] = ()
    aside: tuple[SetAside, ...] = ()

    def data(self, names: Sequence[str], most: int | None = LISTED) -> dict[str, Any]:
        """Return the finding as JSON data, rows by their names, at most so many of them."""
        told = self.told or ("",) * len(self.rows)
        listed = [(names[i], about) for i, about in zip(self.rows, told, strict=True)]
        listed += [(row.where, row.reason) for row in self.aside]
        return {
            "check": self.check,
            "severity": self.severity,
            "count": len(listed),
            "says": self.says,
            "does": self.does,
            "rows": [{"name": n, **({"about": t} if t else {})} for n, t in listed[:most]],
        }


@dataclass
class Examined:
    """The rows that are examined, and what the checks share.

    Attributes
    ----------
    features
        (n, d) what a source says of the rows; None where it does not say it in one vector each.
    """

    dataset: Dataset
    task: Task
    spec: TargetSpec
    targets: np.ndarray
    features: Matrix | None
    seed: int = 0

    @cached_property
    def units(self) -> np.ndarray:
        """Return the unit of each row, by group and equal content."""
        return units(self.dataset)

    @cached_property
    def strata(self) -> np.ndarray:
        """Return the stratum of each row's target: its class, or the bin of its number."""
        return self.task.strata(self.targets)

    @cached_property
    def distinct(self) -> np.ndarray:
        """Return the numbers of the first rows of each content."""
        return np.sort(np.unique(np.array(self.dataset.digests), return_index=True)[1])

    @cached_property
    def near(self) -> Neighbours | None:
        """Return the nearest neighbours among `distinct` by features."""
        if self.features is None:
            return None
        return neighbours(directed(Chosen(self.features, self.distinct), self.seed), self.seed)

    @cached_property
    def alike(self) -> Neighbours | None:
        """Return the nearest neighbours among `distinct` by sketches."""
        cells = [self.dataset.inputs[i] for i in self.distinct.tolist()]
        modality = modalities.get(self.dataset.modality)
        width = modality.sketch(cells[:1]).shape[1]
        if not width:
            return None
        pieces = (cells[i : i + SKETCHED] for i in range(0, len(cells), SKETCHED))
        return neighbours(gathered(map(modality.sketch, pieces), len(cells), width), self.seed)

    @cached_property
    def outputs(self) -> Tensor | None:
        """Return the out-of-fold outputs; None where the task's heads have no solution."""
        if self.features is None:
            return None
        return out_of_fold(self.task, self.spec, self.features, self.targets, self.units, self.seed)

    def said(self, row: int) -> str:
        """Return a row's labels as they were read."""
        values = [column.values[row] for column in self.dataset.targets]
        return ", ".join(v if isinstance(v, str) else "|".join(v) for v in values)


@dataclass(frozen=True)
class Check:
    """A way to look for what is wrong.

    Attributes
    ----------
    find
        Yields what it found.
    seconds
        Forecasts how long it will take.
    """

    find: Callable[[Examined], Iterable[Finding]]
    seconds: Callable[[Examined], float] = lambda _examined: 0.0


checks: Registry[Check] = Registry("check", __name__)


def audit(examined: Examined, seconds: float = math.inf) -> tuple[list[Finding], list[str]]:
    """Return the findings, the most serious first, and the checks for which there was no time.

    The cheapest checks come first, as many as are forecast to fit into `seconds`.
    """
    until = time.monotonic() + seconds
    forecast = {name: checks.get(name).seconds(examined) for name in checks.names()}
    found: list[Finding] = []
    left_out = []
    for name in sorted(forecast, key=lambda name: forecast[name]):
        if time.monotonic() + forecast[name] > until:
            left_out.append(name)
        else:
            found += checks.get(name).find(examined)
    return sorted(found, key=lambda finding: SEVERITIES.index(finding.severity)), left_out
