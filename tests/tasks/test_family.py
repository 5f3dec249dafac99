"""What solvers are told of a likelihood, against its derivatives."""

from __future__ import annotations

import pytest
import torch
from torch.autograd.functional import hessian, jacobian

from headstart.tasks.family import SIGMOID, SOFTMAX

RANDOM = torch.Generator().manual_seed(0)
LOGITS = torch.randn(7, 3, generator=RANDOM, dtype=torch.float64)
WEIGHTS = torch.rand(7, 1, generator=RANDOM, dtype=torch.float64)
HOT = torch.nn.functional.one_hot(torch.arange(7) % 3).double()


@pytest.mark.parametrize("family", (SOFTMAX, SIGMOID), ids=("classes", "labels"))
def test_mean_steepness_and_bound_are_those_of_the_losses(family):
    def loss(shift):
        return (family.losses((LOGITS + shift)[None], HOT) * WEIGHTS).sum()

    mean = family.mean(LOGITS[None])[0]
    here = torch.zeros(3, dtype=torch.float64)
    torch.testing.assert_close(((mean - HOT) * WEIGHTS).sum(0), jacobian(loss, here))
    curvature = hessian(loss, here)
    torch.testing.assert_close(family.steepness(mean, WEIGHTS), curvature)
    assert torch.linalg.eigvalsh(curvature).max() <= family.bound * WEIGHTS.sum()


def test_labels_are_learnable_where_their_rows_have_both_values():
    hot = torch.tensor([[1.0, 0, 1], [0, 0, 1], [1, 0, 0]])
    weights = torch.tensor([[1.0, 1, 1], [1, 1, 0]])[:, :, None]
    found = SIGMOID.learnable(weights, hot)
    assert found.tolist() == [[[1, 0, 1]], [[1, 0, 0]]]
    assert (SOFTMAX.learnable(weights, hot) == 1).all()
