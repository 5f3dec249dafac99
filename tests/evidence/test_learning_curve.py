"""Tests of the learning curve: laws that are known, forecasts, and where two of them meet."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from headstart.evidence import learning_curve as curves
from headstart.evidence.learning_curve import (
    LearningCurve,
    fitted,
    laws,
    learning_curve,
    sizes_of,
)
from headstart.tasks.metrics import CLASSIFICATION, regression_metrics

SIZES = np.array([50.0, 100.0, 200.0, 400.0, 800.0])


def curve_of(error, sizes=SIZES, noise=1e-4, greater=True):
    """A curve from known errors at `sizes`."""
    drawn = laws(sizes, error, np.eye(len(sizes)) * noise**2, seed=0)
    scores = 1 - error if greater else error
    rows = tuple(int(n) for n in sizes)
    return LearningCurve("accuracy", greater, rows, tuple(scores), (noise,) * len(rows), drawn)


@pytest.mark.parametrize(("floor", "rate"), [(0.0, 0.5), (0.4, 0.5), (0.0, 0.25), (0.2, 1.0)])
def test_a_law_that_is_known_is_forecast(floor, rate):
    law = lambda n: 0.2 * (floor + (1 - floor) * (n / 800) ** -rate)  # noqa: E731
    curve = curve_of(law(SIZES))
    assert curve.at(800).value == pytest.approx(0.8, abs=0.005)
    for rows in (1600, 3200):
        found = curve.at(rows)
        assert found.low <= 1 - law(rows) <= found.high
        assert found.value == pytest.approx(1 - law(rows), abs=0.02)


def test_the_band_widens_with_the_distance_and_with_what_is_not_known():
    error = 0.2 * (SIZES / 800) ** -0.5
    sharp, vague = curve_of(error), curve_of(error, noise=0.02)
    widths = [c.at(n).high - c.at(n).low for n in (1600, 6400) for c in (sharp, vague)]
    assert widths[0] < widths[1] and widths[0] < widths[2] and widths[1] < widths[3]


def test_more_rows_are_never_forecast_to_do_harm():
    curve = curve_of(np.array([0.3, 0.28, 0.25, 0.26, 0.27]), noise=0.02)
    assert curve.at(3200).value >= curve.at(800).value - 0.01


def test_an_error_is_not_below_zero_and_a_score_not_above_one():
    perfect = curve_of(np.array([0.02, 0.01, 0.0, 0.0, 0.0]), noise=0.01)
    assert 0.97 < perfect.at(3200).low <= perfect.at(3200).high <= 1
    loss = curve_of(np.array([5.0, 4.0, 3.0, 2.0, 1.5]), noise=0.1, greater=False)
    assert 0 <= loss.at(3200).low < loss.at(3200).value < 1.5


def test_where_two_curves_meet_is_found():
    transfer = curve_of(0.1 * (0.9 + 0.1 * (SIZES / 800) ** -0.5))
    scratch = curve_of(0.2 * (SIZES / 800) ** -0.5)
    # 0.2 (n / 800)^-0.5 falls to about 0.093 at some 3,700 rows
    meets = transfer.meets(scratch)
    assert meets.low <= 3700 <= meets.high and 2500 < meets.value < 7000
    assert scratch.meets(transfer).value == 800  # where the other is better already
    assert transfer.meets(curve_of(0.5 * (0.9 + 0.1 * (SIZES / 800) ** -0.5))) is None


def test_a_curve_is_read_back_from_json():
    curve = curve_of(0.2 * (SIZES / 800) ** -0.5, noise=0.01)
    again = LearningCurve.of(curve.data())
    assert again.rows == curve.rows and again.greater
    for rows in (900, 3200):
        assert again.at(rows).value == pytest.approx(curve.at(rows).value, abs=1e-3)
    assert [p["rows"] for p in curve.data()["forecast"]] == [1600, 3200]


@given(rows=st.integers(0, 5000), strata=st.integers(1, 40))
def test_sizes_double_and_leave_a_fold_out(rows, strata):
    found = sizes_of(rows, strata)
    assert len(found) != 1 and len(found) <= curves.SIZES
    for small, large in itertools.pairwise(found):
        assert large // 2 == small >= max(curves.FEWEST, 2 * strata)
    if found:
        assert found[-1] <= 0.8 * rows


def test_rows_are_answered_once_a_size_by_models_that_did_not_see_them():
    targets, seen = np.arange(100) % 2, []

    def answer(learnt, held):
        assert not set(learnt) & set(held)
        seen.append((len(learnt), sorted(held)))
        right = np.random.default_rng(len(seen)).random(len(held)) < 1 - 2 / len(learnt) ** 0.5
        return torch.eye(2)[np.where(right, targets[held], 1 - targets[held])]

    accuracy = CLASSIFICATION["accuracy"]
    curve = learning_curve(
        answer, accuracy, targets, targets, np.arange(100), late=lambda _deals: True
    )
    assert curve.rows == (20, 40, 80)
    for size in curve.rows:
        rows = itertools.chain.from_iterable(held for n, held in seen if n == size)
        assert sorted(rows) == list(range(100))
    assert curve.scores[0] < curve.scores[-1] <= curve.at(1000).value


def test_no_size_is_larger_than_what_is_left_beside_a_large_unit():
    units = np.where(np.arange(100) < 60, 0, np.arange(100))
    targets, learnt = np.arange(100) % 2, []

    def answer(rows, held):
        learnt.append(len(rows))
        return torch.eye(2)[torch.from_numpy(targets[held])]

    curve = learning_curve(answer, CLASSIFICATION["accuracy"], targets, targets, units)
    assert curve.rows == (20, 40) and set(learnt) == {20, 40}


@pytest.mark.parametrize("scale", (1e-5, 1e5))
def test_a_forecast_is_as_sure_in_any_unit_of_the_target(scale):
    random, zeros = np.random.default_rng(0), np.zeros((500, 1))
    errors = [2 * n**-0.4 + 0.01 * random.normal(size=(500, 1)) for n in SIZES]

    def forecast(unit):
        metric = regression_metrics([unit])["mae"]
        statistics = [[metric.statistics(torch.from_numpy(error), zeros) for error in errors]]
        found = fitted(metric, SIZES.astype(int), statistics, np.arange(500)).at(3200)
        return np.array([found.low, found.value, found.high]) / unit

    np.testing.assert_allclose(forecast(scale), forecast(1.0), rtol=1e-6)


def test_too_few_rows_give_no_curve():
    few = np.arange(20) % 2
    assert learning_curve(None, CLASSIFICATION["accuracy"], few, few, np.arange(20)) is None
