"""Nearest neighbours: how much of the answers' variance a row's neighbours explain."""

from __future__ import annotations

import numpy as np

from headstart.evidence.transferability import Suit, transferability

NEAREST = 5


def nearest(suit: Suit) -> float | None:
    """Return one less the squared error of the neighbours' mean answer, as a share of the variance.

    Neighbours are those of least angle, from other units than the row's own.
    """
    rows = suit.features
    rows = rows / np.maximum(np.linalg.norm(rows, axis=1, keepdims=True), 1e-12)
    alike = rows @ rows.T
    alike[suit.units[:, None] == suit.units] = -np.inf
    count = min(NEAREST, len(rows) - 1)
    which = np.argpartition(-alike, count - 1, axis=1)[:, :count]
    usable = np.take_along_axis(alike, which, 1) > -np.inf
    if not usable.any(1).all():
        return None
    weights = usable / usable.sum(1, keepdims=True)
    said = (suit.answers[which] * weights[:, :, None]).sum(1)
    spread = float(((suit.answers - suit.answers.mean(0)) ** 2).sum())
    return 1 - float(((suit.answers - said) ** 2).sum()) / max(spread, 1e-12)


transferability.register("nearest", nearest)
