"""Regression: which targets can be learnt, and what outputs mean."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
import torch

from headstart.data.dataset import Column
from headstart.errors import DataError, UsageError
from headstart.tasks import metric_for, task_for, tasks
from headstart.tasks.linear import STRENGTHS, Problem

TASK = tasks.get("text-regression")
RANDOM = np.random.default_rng(0)
PRICES = [f"{value:.3f}" for value in RANDOM.normal(50, 20, 60)]
SIZES = [f"{value:.4f}" for value in RANDOM.normal(0.01, 0.002, 60)]


@pytest.fixture
def of(dataset_of):
    """A function that makes a data set of distinct texts with columns of these numbers."""

    def make(*columns, **more):
        data = dataset_of([f"text {i}" for i in range(len(columns[0]))], columns[0], **more)
        names = ("price", "size")[: len(columns)]
        targets = tuple(Column(n, tuple(c)) for n, c in zip(names, columns, strict=True))
        return replace(data, targets=targets)

    return make


@pytest.mark.parametrize(
    ("columns", "sure"),
    (
        ((PRICES,), 0.9),
        ((PRICES, SIZES), 0.9),
        ((PRICES, [str(i % 5) for i in range(60)]), 0.9),
        (([str(i % 5) for i in range(60)],), 0),
        ((["a", "b"] * 30,), 0),
        ((PRICES, ["a", "b"] * 30), 0),
    ),
)
def test_numbers_that_measure_are_recognised(of, columns, sure):
    assert TASK.suits(of(*columns)) == sure
    if sure:
        assert task_for(of(*columns)).name == "text-regression"


def test_columns_of_zeros_and_ones_are_labels_and_other_columns_are_refused(of):
    bits = [str(i % 2) for i in range(60)]
    assert task_for(of(bits, bits)).name == "text-multilabel"
    with pytest.raises(UsageError, match="no task suits the target 'price', 'size'"):
        task_for(of(PRICES, ["a", "b"] * 30))


def test_targets_are_standardised_and_answers_are_not(of):
    data, spec = TASK.validate(of(PRICES, SIZES))
    json.dumps(spec)
    assert spec["names"] == ["price", "size"] and spec["name"] == "price, size"
    targets = TASK.encode(data, spec)
    assert targets.dtype == np.float32 and targets.shape == (60, 2)
    np.testing.assert_allclose(targets.mean(0), 0, atol=1e-5)
    np.testing.assert_allclose(targets.std(0), 1, atol=1e-5)
    first = TASK.decode(torch.from_numpy(targets), spec)[0]["prediction"]
    assert first == {
        "price": pytest.approx(float(PRICES[0]), rel=1e-5),
        "size": pytest.approx(float(SIZES[0]), rel=1e-4),
    }


def test_columns_are_known_by_their_names(of):
    data, spec = TASK.validate(of(PRICES, SIZES))
    turned = replace(data, targets=data.targets[::-1])
    np.testing.assert_array_equal(TASK.encode(turned, spec), TASK.encode(data, spec))


def test_one_number_is_answered_without_its_name(of):
    data, spec = TASK.validate(of(PRICES))
    answers = TASK.decode(torch.from_numpy(TASK.encode(data, spec)), spec)
    assert answers[3] == {"prediction": pytest.approx(float(PRICES[3]), rel=1e-5)}


def test_the_user_s_own_test_rows_do_not_set_the_scale(of):
    far = [*PRICES[:50], *["1000"] * 10]
    _, spec = TASK.validate(of(far, parts=[None] * 50 + ["test"] * 10))
    assert spec["mean"][0] == pytest.approx(np.mean([float(x) for x in PRICES[:50]]))


def test_rows_without_a_number_are_set_aside_with_the_reason(of):
    cells = [*PRICES, "inf", "n/a", "1,234.5", "12 kg"]
    data, spec = TASK.validate(of(cells))
    assert len(data) == 60
    reasons = [aside.reason for aside in data.set_aside]
    assert reasons[0] == "not a finite number: 'inf'" and "unit" in reasons[3]
    assert set(TASK.unknown(of(cells), spec)) == {60, 61, 62, 63}
    several = TASK.unknown(of([*PRICES, "x"], [*SIZES, "1"]), spec)
    assert several == {60: "'price': not a number: 'x'"}


@pytest.mark.parametrize(
    ("cells", "message"),
    (
        (["5"] * 30, "all numbers in 'price' are 5"),
        ([f"2024-01-{1 + i % 28:02}" for i in range(60)], "holds dates.*days since"),
        ([f"{i} kg" for i in range(60)], "60 of 60 labels.*unit.*Write them as plain numbers"),
        (["n/a"] * 30, "holds no number at all"),
        (PRICES[:4], "only 4 usable rows"),
        (["1e308", "-1e308"] * 9, "too large"),
        ([("a", "b")] * 30, "several labels"),
    ),
)
def test_a_target_that_cannot_be_learnt_is_refused(of, cells, message):
    with pytest.raises(DataError, match=f"memory: .*{message}"):
        TASK.validate(of(cells))


def test_what_was_inferred_is_said_with_how_to_override_it(of, dataset_of):
    assert "--task text-classification" in TASK.validate(of(PRICES))[0].notes[0]
    stars = dataset_of([f"text {i}" for i in range(40)], [str(i % 5) for i in range(40)])
    (note,) = tasks.get("text-classification").validate(stars)[0].notes
    assert "numbers of 5 kinds" in note and "--task text-regression" in note
    assert TASK.validate(stars)[0].notes == ()  # asked for by name


def test_numbers_differ_where_they_are_far_apart():
    a, b = np.array([[0.0, 1.0], [0.0, 1.0]]), np.array([[0.05, 1.0], [0.0, 1.2]])
    assert TASK.differ(a, b).tolist() == [False, True]


def test_strata_are_bins_of_equal_size():
    targets = np.random.default_rng(0).normal(size=(500, 1))
    assert np.bincount(TASK.strata(targets)).tolist() == [50] * 10
    assert set(TASK.strata(targets[:40]).tolist()) == {0, 1, 2, 3}
    assert set(TASK.strata(targets[:9]).tolist()) == {0}
    assert len(set(TASK.strata(np.zeros((100, 1))).tolist())) == 1


def test_strata_of_several_numbers_follow_their_main_direction():
    main = np.random.default_rng(0).normal(size=300)
    strata = TASK.strata(np.stack([main, -main], 1))
    assert len(set(strata.tolist())) == 10
    assert abs(np.corrcoef(strata, main)[0, 1]) > 0.9


def test_solved_head_is_ridge_regression():
    random = np.random.default_rng(0)
    features = random.normal(size=(90, 8)).astype(np.float32)
    targets = (features @ random.normal(size=(8, 2))).astype(np.float32)
    problem, spec = Problem.of_features(features), {"names": ["a", "b"]}
    found = TASK.solve_linear(problem, targets, np.arange(90), spec, 0, STRENGTHS, None)
    np.testing.assert_allclose(features @ found.weight.T + found.bias, targets, atol=0.02)
    again = TASK.solve_linear(problem, targets, np.arange(90), spec, 1, STRENGTHS, found.strength)
    np.testing.assert_array_equal(again.weight, found.weight)


def test_loss_is_the_mean_squared_error():
    loss = TASK.loss(torch.tensor([[1.0], [3.0]]), torch.tensor([[0.0], [1.0]]), {}, 0.3)
    assert float(loss) == 2.5


def test_constant_answers_the_mean_of_the_training_rows(dataset_of):
    constant = TASK.constant(np.array([[1.0, 2.0], [3.0, 6.0]], np.float32), {})
    assert constant.outputs(dataset_of(["x"])).tolist() == [[2.0, 4.0]]


def test_there_are_no_classes_to_weigh_and_no_decision_to_tune():
    with pytest.raises(UsageError, match="--class-weights is for classes"):
        TASK.weighted(np.zeros((3, 1)), {})
    spec = {"scale": [1.0]}
    assert TASK.tuner(metric_for(TASK, spec), np.zeros((3, 1)), spec) is None
    assert metric_for(TASK, spec).name == "rmse" and set(TASK.metrics(spec)) == {
        "rmse",
        "mae",
        "r2",
    }
