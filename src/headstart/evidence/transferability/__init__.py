"""Transferability: how well a source's features suit the target, from the labelled rows alone.

A score is one file that registers itself. All of them look at features that were computed once, and
none of them trains a network. Of each, more is better; none has a unit that could be compared with
another's.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property

import numpy as np

from headstart.registry import Registry
from headstart.tasks.matrix import decompose


@dataclass(frozen=True)
class Suit:
    """Labelled rows as one source sees them.

    Attributes
    ----------
    features
        (n, d) float64, what the source says of each row, less its mean.
    answers
        (n, k) float64, what is to be said of it: an indicator of its class, its labels, or its
        numbers at one scale.
    strata
        (n,) its class, or the bin of its number.
    units
        (n,) rows of equal number are never on two sides.
    head
        (n, c) what the source's own head says, as probabilities; None where it has none.
    """

    features: np.ndarray
    answers: np.ndarray
    strata: np.ndarray
    units: np.ndarray
    head: np.ndarray | None = None

    @cached_property
    def decomposed(self) -> tuple[np.ndarray, np.ndarray]:
        """Return squared singular values (r,) of the features, and left singular vectors (n, r)."""
        return decompose(self.features)


Score = Callable[[Suit], float | None]
"""Returns None where it cannot be said."""
transferability: Registry[Score] = Registry("transferability score", __name__)


def answers_of(targets: np.ndarray) -> np.ndarray:
    """Return targets as (n, k) float64: class numbers as indicators, all others as they are."""
    if targets.ndim == 1 and np.issubdtype(targets.dtype, np.integer):
        return np.eye(int(targets.max()) + 1)[targets]
    return targets.reshape(len(targets), -1).astype(np.float64)
