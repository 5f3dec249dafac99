"""Putting a linear head at its optimum."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from headstart.models.heads import LinearHead
from headstart.recipes import Recipe
from headstart.training.solving import put_at_optimum

pytestmark = pytest.mark.usefixtures("one_thread")
RECIPE = Recipe("probe", "any", "source", "probe", rank=10, solved=True)


def test_a_linear_head_separates_the_rows_it_was_solved_on(assign, headlines):
    assignment = assign(RECIPE, headlines)
    targets = torch.from_numpy(assignment.targets)
    features = torch.eye(3)[targets] + 0.1 * torch.randn(len(targets), 3)
    head = LinearHead(3, 3)
    strength = put_at_optimum(head, features, assignment)
    assert (head({"features": features}).argmax(1) == targets).all()
    settled = replace(assignment, settled={"strength": strength})
    assert put_at_optimum(LinearHead(3, 3), features, settled) == strength


def test_a_head_of_another_kind_is_left_as_it_is(assign, headlines):
    head = nn.Conv2d(3, 3, 1)
    before = head.weight.clone()
    assert put_at_optimum(head, torch.zeros(68, 3, 2, 2), assign(RECIPE, headlines)) is None
    assert torch.equal(head.weight, before)
