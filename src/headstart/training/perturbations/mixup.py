"""Mix-up of activations (Verma et al., Manifold Mixup, ICML 2019; Zhang et al., ICLR 2018)."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from headstart.training.perturbations import Perturbed, perturbations

MASK = "attention_mask"


def mixup(batch: Perturbed, strength: float, random: np.random.Generator) -> Perturbed:
    """Mix each row with another of the batch, and its targets with that one's.

    The share of the first is drawn for the batch from a Beta distribution with both parameters
    `strength`. Of texts the mixture is as long as the longer one. Where nothing is a floating-point
    number there is nothing to mix.
    """
    if not any(value.is_floating_point() for value in batch.values.values()):
        return batch
    share = float(random.beta(strength, strength))
    other = torch.from_numpy(random.permutation(len(next(iter(batch.values.values())))))
    mask = batch.values.get(MASK)
    values = {}
    for name, value in batch.values.items():
        if value.is_floating_point():
            present = _without_padding(value, mask)
            values[name] = share * present + (1 - share) * present[other]
        else:
            values[name] = torch.maximum(value, value[other]) if name == MASK else value
    targets = [(known, share * part) for known, part in batch.targets]
    targets += [(known[other], (1 - share) * part) for known, part in batch.targets]
    return Perturbed(values, tuple(targets))


def _without_padding(value: Tensor, mask: Tensor | None) -> Tensor:
    """Return values with zeros where there is no token."""
    if mask is None or value.shape[:2] != mask.shape:
        return value
    return value * mask.view(*mask.shape, *[1] * (value.ndim - 2)).to(value.dtype)


perturbations.register("mixup", mixup)
