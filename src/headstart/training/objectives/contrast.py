"""Contrast: rows of one class are drawn together, rows of others apart.

Tunstall et al., Efficient Few-Shot Learning Without Prompts (SetFit), 2022, whose pairs of texts
are each computed for themselves. Here every row of a batch is computed once and compared with all
others of it; a row that is alone in its class is joined by another one.
"""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from headstart.training.objectives import Objective, objectives


def with_partners(taken: Tensor, targets: Tensor, random: np.random.Generator) -> Tensor:
    """Return the rows, and for each that is alone in its class a random other one of it, if any."""
    partners = []
    found, counts = targets[taken].unique(return_counts=True)
    for row in taken[torch.isin(targets[taken], found[counts == 1])].tolist():
        alike = torch.nonzero(targets == targets[row]).flatten()
        alike = alike[alike != row]
        if len(alike):
            partners.append(int(alike[random.integers(len(alike))]))
    return torch.cat([taken, torch.tensor(partners, dtype=taken.dtype)])


def contrast(features: Tensor, targets: Tensor) -> Tensor:
    """Return how far cosines are from one within a class, and from zero between classes.

    Squared, and averaged over either kind of pairs, so that many classes do not outweigh one.
    """
    directions = nn.functional.normalize(features, dim=1)
    cosines = directions @ directions.T
    same = targets[:, None] == targets[None]
    other = ~torch.eye(len(targets), dtype=torch.bool)
    kinds = [(cosines[same & other] - 1).square(), cosines[~same].square()]
    return 0.5 * sum((kind.mean() for kind in kinds if len(kind)), start=0 * features.sum())


objectives.register("contrast", Objective(with_partners, contrast))
