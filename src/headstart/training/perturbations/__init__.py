"""Perturbations: augmentation of boundary values, in place of the inputs. One file each.

They commute with the cut: the frozen prefix is not run again for them, so that they are new in
every epoch at almost no cost. Recipes name them with a strength.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from headstart.registry import Registry
from headstart.sources.staged import Boundary


@dataclass(frozen=True)
class Perturbed:
    """A batch of boundary values, and the targets that they stand for.

    Attributes
    ----------
    targets
        Each with its share; the shares add up to one.
    """

    values: Boundary
    targets: tuple[tuple[Tensor, float], ...]

    def loss(self, loss: Callable[[Tensor], Tensor]) -> Tensor:
        """Return the mean of the losses against all targets, by their shares."""
        (first, share), *others = self.targets
        found = loss(first) if not others else share * loss(first)
        for targets, share in others:
            found = found + share * loss(targets)
        return found


Perturb = Callable[[Perturbed, float, np.random.Generator], Perturbed]
"""Makes another batch of a batch, at a strength above zero; only the generator is random.

Floating-point values may change; others (token numbers, masks) tell what a row is.
"""
perturbations: Registry[Perturb] = Registry("perturbation", __name__)


def perturbed(
    values: Boundary, targets: Tensor, chosen: Sequence[tuple[str, float]], seed: Sequence[int]
) -> Perturbed:
    """Return a batch perturbed by each of the `chosen` (name, strength) in turn.

    The same seed gives the same batch.
    """
    batch = Perturbed(values, ((targets, 1.0),))
    random = np.random.default_rng(list(seed))
    for name, strength in chosen:
        batch = perturbations.get(name)(batch, strength, random)
    return batch
