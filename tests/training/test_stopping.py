"""Early stopping: the best weights are kept, and patience ends."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from headstart.training.stopping import EarlyStopping


def watched(evaluations, patience=3):
    """Return the watch after (score, loss) a epoch, and the module, whose weight is the epoch."""
    module = nn.Linear(1, 1)
    stopping = EarlyStopping(patience)
    for epoch, (score, loss) in enumerate(evaluations, start=1):
        nn.init.constant_(module.weight, epoch)
        stopping.better(module, epoch, score, loss)
    return stopping, module


@pytest.mark.parametrize(
    ("evaluations", "best"),
    (
        ([(0.5, 1.0), (0.7, 1.0), (0.6, 0.1)], 2),
        ([(0.5, 1.0), (0.5, 0.8), (0.5, 0.9)], 2),  # of equal scores the lesser loss
        ([(0.5, 1.0), (0.5, 1.0)], 1),  # of equals the first
        ([(-2.0, 1.0), (-1.0, 1.0), (-3.0, 0.0)], 2),  # a signed loss is negative
        ([(float("-inf"), float("inf")), (0.1, 1.0)], 2),
        ([(0.1, float("nan")), (0.2, 1.0)], 2),
        ([(float("nan"), 1.0), (0.2, 1.0)], 2),
    ),
)
def test_the_best_epoch_s_weights_come_back(evaluations, best):
    stopping, module = watched(evaluations)
    assert stopping.best_epoch == best
    stopping.restore(module)
    assert module.weight.item() == best


def test_patience_counts_from_the_best_epoch():
    stopping, _ = watched([(0.1, 1), (0.9, 1), (0.2, 1), (0.3, 1)], patience=3)
    assert [stopping.exhausted(epoch) for epoch in (4, 5)] == [False, True]


def test_kept_weights_do_not_change_with_the_module():
    stopping, module = watched([(0.5, 1.0)])
    with torch.no_grad():
        module.weight.add_(1)
    stopping.restore(module)
    assert module.weight.item() == 1


def test_without_an_evaluation_nothing_is_restored():
    module = nn.Linear(1, 1)
    before = module.weight.clone()
    EarlyStopping(2).restore(module)
    assert torch.equal(module.weight, before)
