"""Word dropout: some tokens of a text are as if they were not there (Iyyer et al., ACL 2015)."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import torch

from headstart.training.perturbations import Perturbed, perturbations

MASK = "attention_mask"


def word_dropout(batch: Perturbed, strength: float, random: np.random.Generator) -> Perturbed:
    """Hide a share `strength` of the tokens from attention and from their mean, never the first."""
    mask = batch.values.get(MASK)
    if mask is None:
        return batch
    stays = torch.from_numpy(random.random(tuple(mask.shape)) >= strength)
    stays[:, 0] = True
    return replace(batch, values={**batch.values, MASK: mask * stays.to(mask.dtype)})


perturbations.register("word-dropout", word_dropout)
