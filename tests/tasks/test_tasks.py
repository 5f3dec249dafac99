"""Which task and which metric a run takes."""

from __future__ import annotations

import pytest

from headstart.errors import UsageError
from headstart.tasks import metric_for, task_for, tasks


def test_the_task_is_inferred_from_the_modality(dataset_of):
    assert task_for(dataset_of(["x"], modality="image")).name == "image-classification"
    assert task_for(dataset_of(["x"])).name == "text-classification"


def test_a_named_task_must_fit_the_inputs(dataset_of):
    assert task_for(dataset_of(["x"]), "text-classification").modality == "text"
    with pytest.raises(UsageError, match="is for image inputs, but these are text"):
        task_for(dataset_of(["x"]), "image-classification")


def test_where_no_task_suits_the_known_ones_are_named(dataset_of):
    with pytest.raises(UsageError, match="no task suits.*image-classification"):
        task_for(dataset_of(["x"], modality="video"))


def test_the_metric_is_the_task_s_own_unless_named():
    task = tasks.get("text-classification")
    assert metric_for(task, {}).name == "accuracy"
    assert metric_for(task, {}, "macro_f1").name == "macro_f1"
    with pytest.raises(UsageError, match="has no metric 'bleu'; it has: accuracy"):
        metric_for(task, {}, "bleu")
