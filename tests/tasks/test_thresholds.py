"""Decisions that are tuned to a metric."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import f1_score

from headstart.tasks import tasks
from headstart.tasks.metrics import CLASSIFICATION, multilabel_metrics
from headstart.tasks.thresholds import (
    best_threshold,
    common_threshold,
    label_thresholds,
    out_of_fold,
    prior_shift,
)

LABELS = multilabel_metrics(list("abc"))


def imbalanced(rows=600, seed=0):
    """Return logits of a well-fitted model, and classes of which one has 5% of the rows."""
    random = np.random.default_rng(seed)
    targets = (random.random(rows) < 0.05).astype(int)
    score = random.normal(size=rows) + 1.5 * targets
    odds = 1.5 * score - 1.5**2 / 2 + np.log(0.05 / 0.95)
    return torch.from_numpy(np.stack([np.zeros(rows), odds], 1)).float(), targets


@pytest.mark.parametrize("name", ("balanced_accuracy", "macro_f1"))
def test_rare_classes_are_named_more_often(name):
    metric = CLASSIFICATION[name]
    outputs, targets = imbalanced()
    tune = tasks.get("text-classification").tuner(metric, targets, {"classes": ["a", "b"]})
    offsets = tune(outputs, targets)
    assert offsets[1] > offsets[0]
    later, truth = imbalanced(seed=1)
    assert metric.score(later + offsets, truth) > metric.score(later, truth) + 0.01


def test_accuracy_is_not_tuned():
    tuner = tasks.get("text-classification").tuner
    for name in ("accuracy", "auroc", "log_loss"):
        assert tuner(CLASSIFICATION[name], np.array([0, 1]), {"classes": ["a", "b"]}) is None


def test_of_equals_nothing_is_changed():
    outputs = torch.tensor([[3.0, 0.0], [0.0, 3.0], [4.0, 0.0]])
    found = prior_shift(CLASSIFICATION["macro_f1"], np.array([0.7, 0.3]))(
        outputs, np.array([0, 1, 0])
    )
    assert found.tolist() == [0.0, 0.0]


def test_a_class_that_was_never_learnt_gains_nothing():
    spec = {"classes": ["a", "b", "never"]}
    targets = np.array([0] * 9 + [1] * 3)
    tune = tasks.get("text-classification").tuner(CLASSIFICATION["macro_f1"], targets, spec)
    against = tune.args[1]
    assert against[2] == against[0] < against[1]


@given(st.lists(st.tuples(st.integers(-3, 3), st.integers(0, 1)), min_size=2, max_size=12))
def test_the_best_threshold_has_the_greatest_f1_of_all(rows):
    scores, truth = np.array(rows, float).T
    found = best_threshold(scores, truth)
    if not truth.any():
        assert np.isnan(found)
        return
    best = f1_score(truth, scores > found, zero_division=0)
    every = [f1_score(truth, scores > t, zero_division=0) for t in np.arange(-3.5, 4)]
    assert best == pytest.approx(max(every))


def test_labels_get_thresholds_of_their_own_and_rare_ones_the_common():
    random = np.random.default_rng(0)
    targets = (random.random((400, 3)) < (0.3, 0.3, 0.005)).astype(np.float32)
    logits = 3 * targets - 1.5 + random.normal(size=(400, 3)) + np.array([-2, 2, 0])
    outputs = torch.from_numpy(logits).float()
    metric = LABELS["macro_f1"]
    offsets = label_thresholds(metric)(outputs, targets)
    common = common_threshold(metric)(outputs, targets)
    assert offsets[0] > 1.0 > -1.0 > offsets[1]
    assert abs(offsets[2] - common[2]) < abs(offsets[0] - common[0])
    assert metric.score(outputs + offsets, targets) > metric.score(outputs, targets) + 0.05


@pytest.mark.parametrize("name", ("micro_f1", "subset_accuracy"))
def test_one_threshold_for_all_labels_is_never_worse_where_it_was_tuned(name):
    random = np.random.default_rng(0)
    targets = (random.random((200, 3)) < 0.2).astype(np.float32)
    outputs = torch.from_numpy(2 * targets - 3 + random.normal(size=(200, 3))).float()
    offsets = common_threshold(LABELS[name])(outputs, targets)
    assert len(set(offsets.tolist())) == 1
    assert LABELS[name].score(outputs + offsets, targets) > LABELS[name].score(outputs, targets)


def test_noise_gains_nothing_out_of_fold():
    """On the rows themselves tuned thresholds look better than they are."""
    metric = LABELS["macro_f1"]
    tune = label_thresholds(metric)
    better = []
    for seed in range(10):
        random = np.random.default_rng(seed)
        targets = (random.random((120, 3)) < 0.1).astype(np.float32)
        outputs = torch.from_numpy(random.normal(size=(120, 3))).float()
        honest = out_of_fold(tune, outputs, targets, np.zeros(120), np.arange(120), 0)
        inside = outputs + tune(outputs, targets)
        better.append(metric.score(inside, targets) - metric.score(honest, targets))
    assert np.mean(better) > 0.01


def test_a_fold_is_decided_by_the_others_and_units_stay_together():
    seen = []

    def tune(outputs, targets):
        seen.append(set(targets.tolist()))
        return torch.zeros(1)

    units = np.arange(20) // 4
    out_of_fold(tune, torch.zeros(20, 1), units, np.zeros(20), units, 0)
    assert len(seen) == 5 and all(len(rest) == 4 for rest in seen)
