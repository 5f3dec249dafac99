"""Reading curves: accuracy on the full test set against seconds on the clock."""

from __future__ import annotations

import math
from collections.abc import Sequence

Curve = Sequence[Sequence[float]]
"""Pairs of seconds and accuracy."""


def best(curve: Curve) -> float | None:
    """Return the highest accuracy; None of no points.

    It is chosen by the test, which flatters whoever has many points.
    """
    return max((accuracy for _, accuracy in curve), default=None)


def seconds_to(curve: Curve, accuracy: float) -> float | None:
    """Return the seconds at the first point that is at least so good; None if there is none."""
    return min((seconds for seconds, reached in curve if reached >= accuracy), default=None)


def compare(ours: Curve, theirs: Curve) -> dict[str, float | None]:
    """Compare a curve with a peer's.

    Returns
    -------
    ``peer_best``, the peer's best accuracy; ``peer_seconds`` and ``seconds``, when the peer and we
    first reach it; ``times_sooner``, their ratio; ``ahead``, our best accuracy less the peer's.
    What is not known is None.
    """
    wanted, own = best(theirs), best(ours)
    peer_seconds = None if wanted is None else seconds_to(theirs, wanted)
    seconds = None if wanted is None else seconds_to(ours, wanted)
    return {
        "peer_best": wanted,
        "peer_seconds": peer_seconds,
        "seconds": seconds,
        "times_sooner": round(peer_seconds / seconds, 2) if peer_seconds and seconds else None,
        "ahead": None if wanted is None or own is None else round(own - wanted, 5),
    }


def geometric_mean(values: Sequence[float]) -> float | None:
    """Return the geometric mean of numbers above zero; None of no numbers."""
    return math.exp(sum(map(math.log, values)) / len(values)) if values else None
