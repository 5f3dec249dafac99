"""Puts a linear head at its optimum on features that are fixed."""

from __future__ import annotations

from torch import Tensor, nn

from headstart.models.heads import LinearHead
from headstart.tasks.linear import STRENGTHS, Features
from headstart.training.learners import Assignment


def put_at_optimum(head: nn.Module, features: Tensor, assignment: Assignment) -> float | None:
    """Give a linear head the best weights for an assignment's rows; return the strength.

    Parameters
    ----------
    features
        (n, d) what the head reads of the training rows, of all pieces in their order.

    Returns
    -------
    The strength of regularisation that was settled before or found now, or None where the head or
    the task has no such solution; the head is then as it was.
    """
    if not isinstance(head, LinearHead):
        return None
    found = assignment.solved(Features.of(features.float().numpy()), STRENGTHS)
    if found is None:
        return None
    head.load_state_dict(found.state())
    return found.strength
