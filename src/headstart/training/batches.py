"""How the rows of an epoch are dealt into batches: at random, or those of like length together."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

POOL = 16
"""Batches among whose rows those of like length are brought together."""
WORTH = 1.5
"""How many times more batches at random must compute, padding and all, for that to be worth it."""


def batches(shuffled: Tensor, batch: int, lengths: np.ndarray | None = None) -> list[Tensor]:
    """Return the batches of an epoch.

    The last one, if it is a single row, is left out. Where rows differ much in length, batches are
    of rows of like length, in random order (as in `group_by_length` of transformers' Trainer).

    Parameters
    ----------
    shuffled
        Row numbers in random order.
    lengths
        (rows,) of all rows, by their numbers; None where all are alike.
    """
    if lengths is None or not worth_grouping(lengths[shuffled.numpy()], batch):
        pieces = list(shuffled.split(batch))
    else:
        pieces = [
            piece
            for pool in shuffled.split(POOL * batch)
            for piece in pool[torch.from_numpy(np.argsort(-lengths[pool], kind="stable"))].split(
                batch
            )
        ]
        order = torch.randperm(len(pieces) - 1).tolist()  # the last one may be smaller
        pieces = [*(pieces[i] for i in order), pieces[-1]]
    return pieces[:-1] if len(pieces) > 1 and len(pieces[-1]) == 1 < batch else pieces


def worth_grouping(lengths: np.ndarray, batch: int) -> bool:
    """Say whether batches of rows in this order are much longer than their rows."""
    starts = range(0, len(lengths), batch)
    computed = sum(lengths[i : i + batch].max() * len(lengths[i : i + batch]) for i in starts)
    return bool(computed > WORTH * lengths.sum())
