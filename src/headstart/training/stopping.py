"""Early stopping: keep the best weights, and stop when they have not improved for a while."""

from __future__ import annotations

import math
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn


@dataclass
class EarlyStopping:
    """Watches a validation score; greater is better, and among equal scores the lesser loss.

    Parameters
    ----------
    patience
        Evaluations without a better score after which training stops.
    moving
        Names of the weights that training changes, which are kept; all of them where None.
    """

    patience: int
    moving: frozenset[str] | None = None
    best: tuple[float, float] = (float("-inf"), float("-inf"))
    best_epoch: int = -1
    weights: dict[str, Tensor] = field(default_factory=dict)

    def better(self, module: nn.Module, epoch: int, score: float, loss: float) -> bool:
        """Take note of an evaluation; return whether it is the best so far."""
        found = (_worst_if_nan(score), _worst_if_nan(-loss))
        if self.best_epoch >= 0 and not found > self.best:
            return False
        self.best, self.best_epoch = found, epoch
        self.weights = {
            name: value.clone()
            for name, value in module.state_dict().items()
            if self.moving is None or name in self.moving
        }
        return True

    def exhausted(self, epoch: int) -> bool:
        """Say whether patience has ended at `epoch`."""
        return self.best_epoch >= 0 and epoch - self.best_epoch >= self.patience

    def restore(self, module: nn.Module) -> None:
        """Put the best weights back."""
        if self.weights:
            with torch.no_grad():
                module.load_state_dict(self.weights, strict=self.moving is None)


def _worst_if_nan(value: float) -> float:
    return float("-inf") if math.isnan(value) else value
