"""Calibration, in worlds where it is known."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headstart.evidence.calibration import (
    KEPT,
    Decisions,
    calibration,
    error,
    grouped,
    temperature,
    threshold_for,
)
from headstart.evidence.intervals import resamples


def world(rows, sharper=0.0, seed=0):
    """Return confidences and whether answers are right; `sharper` makes them surer than right."""
    random = np.random.default_rng(seed)
    true = random.uniform(0.5, 1.0, rows)
    return np.clip(true + sharper, 0, 1), random.random(rows) < true


def test_the_error_is_the_mean_distance_by_hand():
    confidence = np.array([0.9, 0.9, 0.6, 0.6])
    right = np.array([1.0, 0.0, 1.0, 1.0])
    found = error(confidence, right, np.array([1, 1, 0, 0]))
    assert found == pytest.approx((2 * 0.4 + 2 * 0.4) / 4)
    assert error(confidence[:2], right[:2], np.zeros(2, int)) == pytest.approx(0.4)


def test_the_interval_is_that_of_resampled_rows_by_hand():
    confidence, right = world(60)
    units = np.arange(60) // 3
    found = calibration(confidence, right, units, seed=4).error
    group, drawn = grouped(confidence), []
    for weights in resamples(units, 4):
        hot = np.eye(group.max() + 1)[group] * (right - confidence)[:, None]
        drawn.append(np.abs(weights @ hot).sum(1) / weights.sum(1))
    low, high = np.quantile(np.concatenate(drawn), [0.025, 0.975])
    assert (found.low, found.high) == pytest.approx((min(low, found.value), high))


def test_a_calibrated_model_is_not_said_to_be_off_where_rows_are_copies():
    off = 0
    for seed in range(40):
        confidence, right = (np.repeat(one, 10) for one in world(60, seed=seed))
        off += calibration(confidence, right, np.arange(600) // 10).off
    assert off <= 5


def test_a_calibrated_model_is_not_said_to_be_off():
    off = [calibration(*world(300, seed=s), np.arange(300)).off for s in range(40)]
    assert sum(off) <= 5


def test_a_model_that_is_too_sure_is():
    found = calibration(*world(600, sharper=0.15), np.arange(600))
    assert found.off
    assert found.error.low > 0.05
    assert sum(group["rows"] for group in found.groups) == 600
    assert all(g["value"] < g["confidence"] for g in found.groups[:5])


def test_units_are_resampled_together():
    confidence, right = world(300)
    alone = calibration(confidence, right, np.arange(300)).error
    tied = calibration(confidence, right, np.arange(300) // 30).error
    assert tied.high - tied.low != alone.high - alone.low


def test_equally_sure_answers_are_one_group():
    assert len(np.unique(grouped(np.full(50, 0.7)))) == 1
    assert len(np.unique(grouped(np.linspace(0, 1, 100)))) == 10


@given(st.floats(0.55, 0.97), st.integers(0, 10_000))
def test_a_threshold_is_one_of_the_confidences_and_its_answers_keep_the_promise(precision, seed):
    confidence, right = world(400, seed=seed)
    found = threshold_for(precision, confidence, right)
    if found is not None:
        assert found in confidence
        assert right[confidence >= found].mean() >= precision


def test_the_promise_holds_nine_times_in_ten():
    kept = []
    for seed in range(300):
        found = threshold_for(0.85, *world(300, seed=seed))
        if found is not None:
            kept.append((1 + found) / 2 >= 0.85)  # what is true above it, on average
    assert len(kept) > 150
    assert np.mean(kept) >= 0.88


def test_few_rows_promise_nothing():
    assert threshold_for(0.95, np.full(20, 0.99), np.ones(20, bool)) is None
    assert threshold_for(0.95, np.full(60, 0.99), np.ones(60, bool)) == 0.99


def test_a_model_that_is_often_wrong_promises_nothing():
    confidence, _ = world(300)
    assert threshold_for(0.9, confidence, np.arange(300) % 2 == 0) is None


@pytest.mark.parametrize("true", [0.5, 1.0, 3.0])
def test_the_temperature_of_a_world_is_found(true):
    random = np.random.default_rng(0)
    logits = random.normal(size=4000) * 2
    right = random.random(4000) < 1 / (1 + np.exp(-logits))

    def loss(t):
        return float(np.log1p(np.exp(-(2 * right - 1) * true * logits / t)).mean())

    assert temperature(loss, 4000) == pytest.approx(true, rel=0.1)


def test_a_few_right_answers_do_not_make_a_model_certain():
    assert 0.2 < temperature(lambda t: float(np.log1p(np.exp(-2 / t))), 8) < 1
    assert temperature(lambda t: float("nan"), 8) == 1


def test_decisions_are_kept_where_there_is_one_a_row_and_not_too_many():
    random = np.random.default_rng(0)
    sure, right = random.random((5000, 1)), random.random((5000, 1)) < 0.5
    kept = Decisions.of(sure, right)
    assert len(kept.sure) == KEPT and len(kept.data()["right"]) == KEPT
    assert set(kept.sure) <= set(sure[:, 0])
    assert Decisions.of(sure[:9], right[:9]).data()["right"] == right[:9, 0].astype(int).tolist()
    assert Decisions.of(np.ones((4, 3)), np.ones((4, 3))) is None
    assert Decisions.of(None, None) is None
