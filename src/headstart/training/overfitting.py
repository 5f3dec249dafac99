"""Overfitting: named when it happens, by the losses of training and of validation."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

RISEN = 1.1
"""How many times its least the validation loss has to be."""
LEAST = 0.02
"""Of the first validation loss by which it has to have risen: next to nothing is no matter."""
LATEST = 2
"""Epochs over which it is averaged: a single one may be bad luck."""


@dataclass(frozen=True)
class Overfitting:
    """Since which epoch rows that are not learnt from get worse, and how far apart losses are."""

    since: int
    gap: float

    def __str__(self) -> str:
        gap = f"{self.gap:.2g}"
        return f"overfitting since epoch {self.since}: its loss is {gap} higher on new rows"


def overfitting(losses: Sequence[float], validation: Sequence[float | None]) -> Overfitting | None:
    """Return where overfitting began, or None where there is none.

    The validation loss of the latest epochs is clearly above its least, and the training loss has
    gone on falling since.

    Parameters
    ----------
    losses, validation
        Of each epoch, in order.
    """
    known = [loss for loss in validation if loss is not None]
    if len(known) != len(losses) or len(known) <= LATEST:
        return None
    best = min(range(len(known)), key=lambda epoch: known[epoch])
    if len(known) - 1 - best < LATEST:
        return None
    late, trained = (sum(loss[-LATEST:]) / LATEST for loss in (known, losses))
    risen = max(RISEN * known[best], known[best] + LEAST * known[0])
    if late < risen or trained >= losses[best]:
        return None
    return Overfitting(best + 2, late - trained)
