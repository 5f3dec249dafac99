"""Trials whose metric depends on a decision, and what a refit keeps of it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from headstart.models.adjusted import Adjusted
from headstart.recipes import Recipe
from headstart.search.trial import Bench, on_all, refit, run_trial, validation_outputs
from headstart.tasks import metric_for

RECIPE = Recipe("tfidf-linear", "text", "small", "words", rank=20)


@pytest.fixture
def imbalanced(assign, dataset_of):
    """A function that assigns texts, one in eight of them of the rare class, by a metric."""

    def make(metric):
        random = np.random.default_rng(0)
        rare = random.random(400) < 0.12
        texts = [
            " ".join(f"w{w}" for w in random.integers(0, 40, 6) + (6 if r else 0)) for r in rare
        ]
        assignment = assign(RECIPE, dataset_of(texts, ["rare" if r else "usual" for r in rare]))
        return replace(assignment, metric=metric_for(assignment.task, assignment.spec, metric))

    return make


def bench_of(assignment):
    given = assignment.train[0], assignment.validation
    common = assignment.task, assignment.spec, assignment.metric
    return Bench(*common, *given, {}, "data", "split", assignment.seed)


def test_a_metric_of_decisions_gets_its_decision_and_an_honest_score(imbalanced):
    assignment = imbalanced("macro_f1")
    result = run_trial(assignment)
    model, held = result.fitted.model, assignment.validation
    assert isinstance(model, Adjusted)
    assert result.fitted.settled["offsets"] == model.offsets.tolist()
    outputs = validation_outputs(bench_of(assignment), model, lambda m, rows: m.outputs(rows))
    assert assignment.metric.score(outputs, held.targets) == result.score
    loss = assignment.task.loss(outputs, torch.from_numpy(held.targets), assignment.spec)
    assert loss == pytest.approx(result.loss) and model.temperature != 1
    again = refit(on_all(assignment, result.fitted.settled, ()))
    assert isinstance(again.model, Adjusted)
    assert again.model.offsets.tolist() == model.offsets.tolist()


def test_accuracy_is_left_as_it_is(imbalanced):
    assignment = imbalanced("accuracy")
    result = run_trial(assignment)
    model, held = result.fitted.model, assignment.validation
    assert "offsets" not in result.fitted.settled and not model.offsets.any()
    outputs = validation_outputs(bench_of(assignment), model, lambda m, rows: m.outputs(rows))
    assert assignment.metric.score(outputs, held.targets) == result.score


def test_class_weights_name_the_rare_class_more_often(imbalanced):
    assignment = imbalanced("accuracy")
    spec = assignment.task.weighted(assignment.targets, assignment.spec)
    counts = np.bincount(assignment.targets)
    assert spec["class_weights"] == pytest.approx((counts.sum() / 2 / counts).tolist())
    rows = assignment.validation.data
    plain, weighted = (
        run_trial(replace(assignment, spec=s)).fitted.model.outputs(rows).argmax(1)
        for s in (assignment.spec, spec)
    )
    assert (weighted == 0).sum() > (plain == 0).sum()


def test_what_goes_wrong_ends_the_trial_alone(imbalanced):
    lost = replace(imbalanced("accuracy"), recipe=replace(RECIPE, learner="probe"))
    result = run_trial(lost)
    assert result.fitted is None and result.reason.startswith("AssertionError")


def test_a_model_is_made_as_sure_as_it_is_right(imbalanced):
    assignment = imbalanced("accuracy")
    result = run_trial(assignment)
    model, held = result.fitted.model, assignment.validation
    assert model.temperature == result.fitted.settled["temperature"] != 1
    truth = torch.from_numpy(held.targets)

    def loss(outputs):
        return float(assignment.task.loss(outputs, truth, assignment.spec))

    assert loss(model.outputs(held.data)) < loss(model.inner.outputs(held.data))
    assert result.loss == pytest.approx(loss(model.outputs(held.data)))
    again = refit(on_all(assignment, result.fitted.settled, ()))
    assert again.model.temperature == model.temperature
