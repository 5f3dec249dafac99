"""Random views of recordings. One file a policy, which recipes name; ``a+b`` is one after another.

A policy changes samples, before anything is computed of them, or log-mel energies.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from headstart.registry import Registry

Change = Callable[[np.ndarray, np.random.Generator], np.ndarray]
"""Makes another array of an array; only the generator is random."""


@dataclass(frozen=True)
class Policy:
    """What is changed: `samples` (n,) float32, `energies` (frames, bands) float32, or both."""

    samples: Change | None = None
    energies: Change | None = None


policies: Registry[Policy] = Registry("augmentation", __name__)


def heard(samples: np.ndarray, policy: str, random: np.random.Generator) -> np.ndarray:
    """Return a view of samples."""
    for change in (policies.get(name).samples for name in policy.split("+")):
        samples = samples if change is None else change(samples, random)
    return samples


def shown(energies: np.ndarray, policy: str, random: np.random.Generator) -> np.ndarray:
    """Return a view of log-mel energies."""
    for change in (policies.get(name).energies for name in policy.split("+")):
        energies = energies if change is None else change(energies, random)
    return energies
