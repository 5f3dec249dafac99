"""Contrast: what it wants of features, and which rows it looks at."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from headstart.recipes import Phase, Recipe
from headstart.training.learners import learners, refused
from headstart.training.objectives.contrast import contrast, with_partners

RECIPE = Recipe(
    "contrast",
    "text",
    "source",
    "tune",
    rank=25,
    stages=2,
    phases=(Phase(epochs=6, rate=3e-3),),
    solved=True,
    objective="contrast",
)


def test_known_values():
    east, north = [1.0, 0.0], [0.0, 1.0]
    apart = torch.tensor([east, [5.0, 0.0], north, north])
    assert contrast(apart, torch.tensor([0, 0, 1, 1])) == 0
    # each class is at a right angle to itself, and there is one pair of equals between classes
    mixed = torch.tensor([east, north])
    assert contrast(mixed, torch.tensor([0, 0])) == 0.5
    assert contrast(torch.tensor([east, east]), torch.tensor([0, 1])) == 0.5
    slanted = torch.tensor([east, [1.0, 1.0]])
    assert contrast(slanted, torch.tensor([0, 0])) == pytest.approx((1 - 0.5**0.5) ** 2 / 2)
    assert contrast(slanted, torch.tensor([0, 1])) == pytest.approx(0.5 / 2)


def test_one_row_alone_has_nothing_to_be_compared_with():
    features = torch.ones(1, 2, requires_grad=True)
    loss = contrast(features, torch.tensor([0]))
    assert loss == 0 and torch.isfinite(loss)


def test_a_row_that_is_alone_in_its_class_is_joined_by_another():
    targets = torch.tensor([0, 0, 0, 1, 1, 2])
    random = np.random.default_rng(0)
    taken = with_partners(torch.tensor([0, 1, 3, 5]), targets, random)
    assert taken.tolist() == [0, 1, 3, 5, 4], "5 is alone in all the world"


def test_features_of_a_class_come_nearer_to_each_other(assign, headlines, toy_text):
    assignment = assign(RECIPE, headlines, toy_text)
    fitted = learners.get("tune").fit(assignment)
    losses = [epoch["loss"] for epoch in fitted.history]
    assert losses[-1] < 0.75 * losses[0]
    held = assignment.validation
    assert assignment.metric.score(fitted.model.outputs(held.data), held.targets) > 0.6
    assert fitted.settled["strength"] > 0
    again = learners.get("tune").fit(replace(assignment, validation=None, settled=fitted.settled))
    assert assignment.metric.score(again.model.outputs(held.data), held.targets) > 0.6


def test_the_head_that_comes_out_is_the_one_that_was_scored(assign, headlines, toy_text, eager):
    assignment = assign(RECIPE, headlines, toy_text)
    fitted = learners.get("tune").fit(assignment)
    held = assignment.validation
    scores = [epoch["score"] for epoch in fitted.history]
    found = assignment.metric.score(fitted.model.outputs(held.data), held.targets)
    assert found == pytest.approx(max(scores), abs=0.05)


def test_numbers_have_no_classes(assign, dataset_of, headlines, toy_text):
    rows = dataset_of(headlines.inputs, [str(len(text)) for text in headlines.inputs])
    assignment = assign(RECIPE, rows, toy_text, task="text-regression")
    assert refused(assignment) == "contrast needs classes, one a row"
