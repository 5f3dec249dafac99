"""The ranking of sources for a target, and the shortlist of those that are worth a race."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from headstart.evidence.similarity import Similarity
from headstart.evidence.transferability import Suit, answers_of, transferability
from headstart.tasks import Metric, TargetSpec, Task
from headstart.tasks.matrix import Matrix
from headstart.tasks.ridge import held_out

LENGTH = 3
"""Sources of a shortlist."""
BEST = "among the best by a linear head on its features"
LARGEST = "the largest"


@dataclass(frozen=True)
class Candidate:
    """A source, with what was measured of it on the target's rows.

    Attributes
    ----------
    source
        Its id.
    probe
        Cross-validated score of a linear head on its features, such that more is better.
    scores
        By name; None where one cannot be said.
    similarity
        How like the rows are to its own.
    rate
        Rows a second through its frozen layers on this machine.
    parameters
        Of its backbone.
    """

    source: str
    probe: float | None
    scores: dict[str, float | None]
    similarity: Similarity
    rate: float
    parameters: int
    licence: str = ""

    def data(self) -> dict[str, Any]:
        """Return it as JSON data."""
        return {**vars(self), "similarity": self.similarity.data()}


def measured(
    task: Task,
    spec: TargetSpec,
    metric: Metric,
    probed: Matrix,
    features: Matrix,
    targets: np.ndarray,
    units: np.ndarray,
    head: tuple[Tensor, Tensor] | None = None,
    seed: int = 0,
) -> tuple[float | None, dict[str, float | None]]:
    """Return the cross-validated score of a probe, and every transferability score.

    Parameters
    ----------
    probed
        (n, p) what the probe reads of the source.
    features
        (n, d) the source's last features.
    head
        Weights (c, d) and biases (c,) of the source's own head on these.
    """
    answers = answers_of(targets)
    outputs = torch.from_numpy(held_out(probed, answers, units, seed))
    if answers.shape[1] > 1 and targets.ndim > 1 and "classes" in spec:
        outputs = outputs - 0.5  # of labels, those above zero are said
    probe = metric.signed(metric.score(outputs, targets))
    rows = features.take(np.arange(features.shape[0]))
    suit = Suit(
        features=rows.astype(np.float64) - rows.mean(0, dtype=np.float64),
        answers=answers,
        strata=task.strata(targets),
        units=units,
        head=None if head is None else _said(head, torch.from_numpy(rows)),
    )
    names = transferability.names()
    return probe, {name: transferability.get(name)(suit) for name in names}


def _said(head: tuple[Tensor, Tensor], rows: Tensor) -> np.ndarray:
    """Return the probabilities (n, c) of the source's own classes."""
    weight, bias = (part.double() for part in head)
    return (rows.double() @ weight.T + bias).softmax(1).numpy()


def ranked(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Return candidates, the best first: by their probes, of equal ones the faster first."""
    lowest = -np.inf
    return sorted(
        candidates,
        key=lambda c: (-(lowest if c.probe is None else c.probe), -c.rate, c.source),
    )


def shortlist(candidates: Sequence[Candidate], length: int = LENGTH) -> dict[str, str]:
    """Return the sources that are worth a race, the best first, each with the reason.

    One place is kept for the largest: what a large network can be tuned to, its features do not
    tell.
    """
    order = ranked(candidates)
    if not order:
        return {}
    largest = max(order, key=lambda c: c.parameters)
    chosen = {c.source: BEST for c in order[:length]}
    if largest.source not in chosen:
        chosen.popitem()
        chosen[largest.source] = LARGEST
    return chosen
