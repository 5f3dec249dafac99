"""Fits the task's linear model to statistics of log-mel bands."""

from __future__ import annotations

import numpy as np
import torch

from headstart.errors import UsageError
from headstart.features.cache import ActivationCache
from headstart.features.values import concatenated
from headstart.models.sound_model import SoundModel, statistics
from headstart.tasks.linear import STRENGTHS, Features
from headstart.tasks.matrix import Array
from headstart.training.learners import Assignment, Fitted, learners

DECODED = 0.02
"""Seconds that it takes to decode a recording and to take its spectrum."""


class Bands:
    """The task's answer from how loud each band of a recording is, and how it varies."""

    def forecast(self, assignment: Assignment) -> float:
        """Return the seconds of decoding all rows and of all fits."""
        rows = sum(len(piece.data) for piece in assignment.train)
        return 0.5 + rows * DECODED + (min(rows, 4_000) / 1_000) ** 2 * assignment.many

    def fit(self, assignment: Assignment) -> Fitted:
        """Return the linear model over the statistics."""
        cache = ActivationCache()
        found = concatenated([statistics(piece.data, cache) for piece in assignment.train])
        features = Features(Array(found.whole()["statistics"].numpy()))
        solution = assignment.solved(features, STRENGTHS)
        if solution is None:
            raise UsageError(f"{assignment.task.name} has no linear solution, only training")
        weight, bias = (
            torch.from_numpy(np.ascontiguousarray(value, np.float32))
            for value in (solution.weight, solution.bias)
        )
        return Fitted(SoundModel(weight, bias), {"strength": solution.strength}, "none")


learners.register("bands", Bands())
