"""CutMix of activations: a rectangle of each map comes from another row.

Yun et al., CutMix, ICCV 2019, there of pixels: a rectangle of a map stands for one of the picture.
"""

from __future__ import annotations

import numpy as np
import torch

from headstart.training.perturbations import Perturbed, perturbations


def cutmix(batch: Perturbed, strength: float, random: np.random.Generator) -> Perturbed:
    """Take a rectangle of another row of the batch, and as much of its targets.

    The share of the rectangle is drawn for the batch from a Beta distribution with both parameters
    `strength`. All maps of a row lose the same part of their extent. Where nothing is a map nothing
    is mixed.
    """
    maps = [value for value in batch.values.values() if _is_map(value)]
    if not maps:
        return batch
    share = float(random.beta(strength, strength))
    side = share**0.5
    left, top = random.uniform(0, 1 - side, 2)
    other = torch.from_numpy(random.permutation(len(maps[0])))
    values = dict(batch.values)
    taken = 0.0
    for name, value in values.items():
        if _is_map(value):
            height, width = value.shape[2:]
            rows = slice(round(top * height), round((top + side) * height))
            columns = slice(round(left * width), round((left + side) * width))
            mixed = value.clone()
            mixed[:, :, rows, columns] = value[other][:, :, rows, columns]
            values[name] = mixed
            taken = (rows.stop - rows.start) * (columns.stop - columns.start) / (height * width)
    targets = [(known, (1 - taken) * part) for known, part in batch.targets]
    targets += [(known[other], taken * part) for known, part in batch.targets]
    return Perturbed(values, tuple(targets))


def _is_map(value: torch.Tensor) -> bool:
    return value.is_floating_point() and value.ndim == 4


perturbations.register("cutmix", cutmix)
