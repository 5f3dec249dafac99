import numpy as np
import pytest

from headstart.evidence import folds
from headstart.evidence.folds import out_of_fold
from headstart.tasks import tasks
from headstart.tasks.matrix import Array

TASK = tasks.get("text-classification")
SPEC = {"name": "y", "classes": ["a", "b"]}


@pytest.fixture
def rows():
    random = np.random.default_rng(0)
    truth = np.arange(200) % 2
    return (random.normal(size=(200, 6)) + 3 * np.eye(2, 6)[truth]).astype(np.float32), truth


def test_each_row_is_answered_by_a_head_that_did_not_learn_from_it(rows):
    features, truth = rows
    units = np.arange(200)
    outputs = out_of_fold(TASK, SPEC, Array(features), truth, units, 0)
    assert (outputs.argmax(1).numpy() == truth).mean() > 0.95
    changed = truth.copy()
    changed[7] = 1 - changed[7]
    again = out_of_fold(TASK, SPEC, Array(features), changed, units, 0)
    assert again[7].argmax() == truth[7]


def test_targets_without_features_that_tell_them_cannot_be_answered(rows):
    _, truth = rows
    noise = np.random.default_rng(1).normal(size=(200, 300)).astype(np.float32)
    outputs = out_of_fold(TASK, SPEC, Array(noise), truth, np.arange(200), 0)
    assert (outputs.argmax(1).numpy() == truth).mean() < 0.65


def test_copies_do_not_answer_for_each_other(rows):
    """With 100 pairs of equal rows of random labels a fold must not know the other of a pair."""
    random = np.random.default_rng(0)
    half = random.normal(size=(100, 300)).astype(np.float32)
    features, truth = np.concatenate([half, half]), np.tile(random.integers(0, 2, 100), 2)
    units = np.tile(np.arange(100), 2)
    outputs = out_of_fold(TASK, SPEC, Array(features), truth, units, 0)
    assert (outputs.argmax(1).numpy() == truth).mean() < 0.65
    loose = out_of_fold(TASK, SPEC, Array(features), truth, np.arange(200), 0)
    assert (loose.argmax(1).numpy() == truth).mean() > 0.8


def test_of_many_rows_some_are_learnt_from_and_all_are_answered(rows, monkeypatch):
    features, truth = rows
    monkeypatch.setattr(folds, "MOST", 100)
    outputs = out_of_fold(TASK, SPEC, Array(features), truth, np.arange(200), 0)
    assert outputs.shape == (200, 2)
    assert (outputs.argmax(1).numpy() == truth).mean() > 0.95
