"""Whether labels survive a view: a linear head that has never seen such views is asked."""

from __future__ import annotations

import numpy as np
import torch

from headstart.data.modalities import View
from headstart.features.extract import OutOfTime
from headstart.models.heads import LinearHead, Readout
from headstart.training.learners import Assignment, Rows, drawn
from headstart.training.solving import put_at_optimum

ROWS = 1_000
"""Rows that the head learns from at most."""
HELD = 500
"""Validation rows that it answers at most."""
TOLERATED = 0.01
"""Of its score that the head may lose."""


def survives(assignment: Assignment, view: View) -> bool:
    """Say whether a head on the source's features does as well on validation rows in this view.

    Where there are no validation rows, no time, or the task has no such head, nothing is risked.
    """
    held, extractor = assignment.validation, assignment.extractor
    spec = assignment.task.head(1, assignment.spec)
    if held is None or extractor is None or spec.kind != "linear":
        return False
    end = extractor.backbone.end
    some = drawn(len(assignment.train[0].data), ROWS, assignment.seed)
    learnt = assignment.train[0].take(some)
    held = held.take(drawn(len(held.data), HELD, assignment.seed))
    features = Readout(extractor.extract(learnt.data, end), "linear")
    head = LinearHead(features.shape[1], spec.outputs)
    if put_at_optimum(head, features, assignment, some) is None:
        return False

    def score(rows: Rows, seen: View | None) -> float:
        values = Readout(
            extractor.extract(rows.data, end, view=seen, late=assignment.late), "linear"
        )
        with torch.no_grad():
            read = torch.from_numpy(values.take(np.arange(len(rows.data))))
            outputs = head({"features": read})
        metric = assignment.metric
        return metric.signed(metric.score(outputs, rows.targets))

    try:
        plain, changed = score(held, None), score(held, view)
    except OutOfTime:
        return False
    return changed >= plain - TOLERATED * max(1.0, abs(plain))
