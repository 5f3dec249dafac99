"""Putting a linear head at its optimum."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import nn

from headstart.data.dataset import Column
from headstart.models.heads import LinearHead
from headstart.recipes import Recipe
from headstart.tasks.matrix import Array
from headstart.training.solving import (
    UNSURE,
    draw_back,
    put_at_optimum,
    seconds_of_solving,
)

pytestmark = pytest.mark.usefixtures("one_thread")
RECIPE = Recipe("probe", "any", "source", "probe", rank=10, solved=True)


def test_a_linear_head_separates_the_rows_it_was_solved_on(assign, headlines):
    assignment = assign(RECIPE, headlines)
    targets = torch.from_numpy(assignment.targets)
    features = torch.eye(3)[targets] + 0.1 * torch.randn(len(targets), 3)
    head = LinearHead(3, 3)
    matrix = Array(features.numpy())
    strength = put_at_optimum(head, matrix, assignment)
    assert (head({"features": features}).argmax(1) == targets).all()
    settled = replace(assignment, settled={"strength": strength})
    assert put_at_optimum(LinearHead(3, 3), matrix, settled) == strength


def test_a_head_of_another_kind_is_left_as_it_is(assign, headlines):
    head = nn.Conv2d(3, 3, 1)
    before = head.weight.clone()
    assert put_at_optimum(head, Array(np.zeros((68, 3))), assign(RECIPE, headlines)) is None
    assert torch.equal(head.weight, before)


def test_the_seconds_of_solving_grow_with_rows_width_and_outputs():
    plain = seconds_of_solving(1000, 200, 1.0)
    assert 0 < plain < min(
        seconds_of_solving(2000, 200, 1.0),
        seconds_of_solving(1000, 400, 1.0),
        seconds_of_solving(1000, 200, 2.0),
    )  # fmt: skip


def test_many_rows_cost_a_search_and_no_longer_path():
    few, many, more = (seconds_of_solving(n, 200, 1.0) for n in (4_000, 40_000, 400_000))
    assert more - few == pytest.approx(10 * (many - few))


def _drawn_back(assignment, spread):
    targets = torch.from_numpy(assignment.targets)
    features = torch.eye(3)[targets] + spread * torch.randn(len(targets), 3)
    head, rows = LinearHead(3, 3), np.arange(len(targets))
    put_at_optimum(head, Array(features.numpy()), assignment)
    best = head({"features": features})
    draw_back(head, features.numpy(), assignment, rows)
    found = head({"features": features})
    losses = [nn.functional.cross_entropy(o, targets).item() for o in (best, found)]
    return best, found, losses


def test_a_head_that_is_sure_of_its_rows_is_drawn_back_until_they_teach_something(
    assign, headlines
):
    assignment = assign(RECIPE, headlines)
    best, found, (least, left) = _drawn_back(assignment, 0.1)
    counts = np.bincount(assignment.targets) + 0.5
    share = torch.from_numpy(np.log(counts / counts.sum())).float()
    nothing = nn.functional.cross_entropy(
        share.expand(len(best), 3), torch.from_numpy(assignment.targets)
    )
    assert least < 0.2 * nothing
    assert left == pytest.approx(UNSURE * float(nothing), rel=1e-3)
    way = (found - share) / (best - share)  # the same share of the way for every output
    torch.testing.assert_close(way, way.mean().expand_as(way), rtol=1e-3, atol=1e-3)


def test_a_head_that_is_unsure_of_its_rows_stays_at_its_optimum(assign, headlines):
    best, found, _ = _drawn_back(assign(RECIPE, headlines), 5.0)
    assert torch.equal(best, found)


def test_a_head_of_numbers_stays_at_its_optimum(assign, headlines):
    numbers = tuple(f"{7.31 * row:.3f}" for row in range(len(headlines)))
    assignment = assign(RECIPE, replace(headlines, targets=(Column("place", numbers),)))
    features = np.random.default_rng(0).normal(size=(len(assignment.targets), 90))
    head = LinearHead(90, 1)
    put_at_optimum(head, Array(features.astype(np.float32)), assignment)
    before = head.linear.weight.clone()
    draw_back(head, features.astype(np.float32), assignment, np.arange(len(features)))
    assert torch.equal(head.linear.weight, before)
