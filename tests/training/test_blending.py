"""Blending: between the start and what was tuned, where it does best."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from headstart.training.blending import EVEN, SHARES, blended


@pytest.fixture
def way():
    """A layer whose weights were all zero and are all one now, and its start."""
    layer = nn.Linear(2, 2)
    nn.init.constant_(layer.weight, 1.0)
    nn.init.constant_(layer.bias, 1.0)
    return layer, [torch.zeros_like(parameter) for parameter in layer.parameters()]


def best_at(layer, share):
    """Return an evaluation that likes weights of this size best."""
    return lambda: (-abs(float(layer.weight[0, 0].detach()) - share), 0.0)


@pytest.mark.parametrize("share", SHARES)
def test_it_ends_where_validation_likes_it_best(way, share):
    layer, start = way
    assert blended(layer, start, best_at(layer, share)) == share
    assert layer.bias.tolist() == pytest.approx([share, share])


def test_of_equals_the_tuned_one_is_taken_and_the_loss_decides(way):
    layer, start = way
    assert blended(layer, start, lambda: (0.5, 1.0)) == 1.0
    assert blended(layer, start, lambda: (0.5, float(layer.weight[0, 0].detach()))) == 0.0


def test_a_share_that_was_settled_is_taken(way):
    layer, start = way
    assert blended(layer, start, None, settled=0.3) == 0.3
    assert layer.weight.flatten().tolist() == pytest.approx([0.3] * 4)


def test_where_time_is_up_the_best_so_far_is_taken(way):
    layer, start = way
    left = iter((False, False, True))
    assert blended(layer, start, best_at(layer, 0.0), None, lambda: next(left)) == SHARES[1]


def test_where_nothing_tells_it_goes_half_the_way(way):
    layer, start = way
    assert blended(layer, start, None) == EVEN == 0.5
    assert layer.weight.eq(0.5).all()
