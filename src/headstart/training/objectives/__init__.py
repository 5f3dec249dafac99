"""Objectives: what training goes down. One file each; recipes name them.

Most recipes go down the task's own loss. Others shape the features first, and solve for the head on
what they have become.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from torch import Tensor

from headstart.registry import Registry


@dataclass(frozen=True)
class Objective:
    """What features are to become; the head is put at its optimum on them before it is asked.

    Attributes
    ----------
    draw
        Returns the rows of a step, from those whose turn it is, the targets of all rows, and a
        generator.
    loss
        Of the features (rows, width) of these rows, and their targets.
    """

    draw: Callable[[Tensor, Tensor, np.random.Generator], Tensor]
    loss: Callable[[Tensor, Tensor], Tensor]


objectives: Registry[Objective] = Registry("objective", __name__)
