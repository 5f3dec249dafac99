"""LEEP: the log likelihood of the labels, given what the source's own head says.

Nguyen, Hassner, Seeger and Archambeau, LEEP: A New Measure to Evaluate Transferability of Learned
Representations, ICML 2020.
"""

from __future__ import annotations

import numpy as np

from headstart.evidence.transferability import Suit, transferability


def leep(suit: Suit) -> float | None:
    """Return the mean log of the expected empirical prediction; None without a head."""
    if suit.head is None:
        return None
    names, codes = np.unique(suit.strata, return_inverse=True)
    joint = np.eye(len(names))[codes].T @ suit.head / len(codes)
    given = joint / np.maximum(joint.sum(0), 1e-300)
    expected = (suit.head * given[codes]).sum(1)
    return float(np.log(np.maximum(expected, 1e-300)).mean())


transferability.register("leep", leep)
