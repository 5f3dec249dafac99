"""Intervals against published values and against what the bootstrap must do."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from headstart.evidence import intervals
from headstart.evidence.intervals import (
    Interval,
    by_subgroup,
    ends,
    figure,
    repeated_interval,
    resamples,
    score_interval,
    wilson,
)
from headstart.tasks.metrics import CLASSIFICATION


# Newcombe, Two-sided confidence intervals for the single proportion, Statistics in Medicine 17,
# 1998, table I, method 3; the last two are z² / (10 + z²) by hand
@pytest.mark.parametrize(
    ("right", "of", "low", "high"),
    (
        (81, 263, 0.2553, 0.3662),
        (15, 148, 0.0624, 0.1605),
        (0, 20, 0.0, 0.1611),
        (1, 29, 0.0061, 0.1718),
        (0, 10, 0.0, 0.2775),
        (10, 10, 0.7225, 1.0),
    ),
)
def test_wilson_gives_the_published_ends(right, of, low, high):
    found = wilson(right, of)
    assert found.value == right / of
    assert (round(found.low, 4), round(found.high, 4)) == (low, high)


@given(st.integers(1, 500).flatmap(lambda of: st.tuples(st.integers(0, of), st.just(of))))
def test_wilson_holds_its_value_within_0_and_1(case):
    found = wilson(*case)
    assert 0 <= found.low <= found.value <= found.high <= 1


def test_a_wider_level_gives_a_wider_interval():
    assert wilson(3, 10, 0.99).low < wilson(3, 10).low < wilson(3, 10, 0.5).low


def answers(rows, classes=3, seed=0, share=0.7):
    """Return outputs that are right on about `share` of the rows, and targets."""
    random = np.random.default_rng(seed)
    targets = random.integers(0, classes, rows)
    outputs = torch.from_numpy(random.normal(size=(rows, classes))).float()
    outputs[np.arange(rows), targets] += 4 * torch.from_numpy(random.random(rows) < share)
    return outputs, targets


def test_accuracy_of_independent_rows_has_wilson_s_interval():
    outputs, targets = answers(80)
    right = int((outputs.argmax(1).numpy() == targets).sum())
    found = score_interval(CLASSIFICATION["accuracy"], outputs, targets, np.arange(80))
    assert found == wilson(right, 80)


@pytest.mark.parametrize("name", CLASSIFICATION)
def test_copied_rows_widen_the_interval_once_they_are_one_unit(name):
    outputs, targets = answers(60)
    outputs, targets = outputs.repeat(6, 1), np.tile(targets, 6)
    alone = score_interval(CLASSIFICATION[name], outputs, targets, np.arange(360))
    grouped = score_interval(CLASSIFICATION[name], outputs, targets, np.arange(360) % 60)
    assert grouped.value == pytest.approx(alone.value)
    # six copies of each row pretend to know sqrt(6) times as well
    ratio = (grouped.high - grouped.low) / (alone.high - alone.low)
    assert ratio == pytest.approx(6**0.5, rel=0.15)


def test_all_right_is_no_certainty_where_two_rows_are_one():
    metric, statistics = CLASSIFICATION["accuracy"], np.ones((20, 1))
    units = np.arange(20)
    alone = repeated_interval(metric, [statistics], units)
    units[1] = 0
    tied = repeated_interval(metric, [statistics], units)
    assert tied.high == 1 and 0.7 < tied.low < alone.low
    assert repeated_interval(metric, [statistics], np.zeros(20, int)).low < 0.1


def test_the_bootstrap_agrees_with_the_normal_interval_of_a_mean():
    outputs, targets = answers(400)
    metric = CLASSIFICATION["log_loss"]
    found = score_interval(metric, outputs, targets, np.arange(400))
    losses = metric.statistics(outputs, targets)[:, 0]
    half = 1.96 * losses.std() / 400**0.5
    assert found.low == pytest.approx(losses.mean() - half, abs=half / 5)
    assert found.high == pytest.approx(losses.mean() + half, abs=half / 5)


@pytest.mark.parametrize("name", CLASSIFICATION)
@given(rows=st.integers(2, 8), seed=st.integers(0, 99), units=st.integers(1, 8))
def test_the_interval_holds_its_value(name, rows, seed, units):
    outputs, targets = answers(rows, seed=seed)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(intervals, "RESAMPLES", 50)
        unit_of = np.arange(rows) % units
        found = score_interval(CLASSIFICATION[name], outputs, targets, unit_of, seed)
    assert found.low <= found.value <= found.high


def test_resamples_draw_whole_units():
    units = np.array([7, 7, 3, 9, 9, 9])
    drawn = np.concatenate(list(resamples(units, seed=0)))
    assert drawn.shape == (intervals.RESAMPLES, 6)
    assert (drawn[:, 0] == drawn[:, 1]).all() and (drawn[:, 3:] == drawn[:, 3:4]).all()
    assert (drawn[:, [0, 2, 3]].sum(1) == 3).all()
    assert drawn.mean(0) == pytest.approx(np.ones(6), abs=0.1)


def test_the_seed_decides_the_resamples():
    first, same, other = (next(resamples(np.arange(9), seed)) for seed in (1, 1, 2))
    assert (first == same).all() and (first != other).any()


def test_ends_leave_out_half_of_the_rest_on_either_side():
    assert ends(np.arange(1001) / 1000) == pytest.approx((0.025, 0.975))
    assert ends(np.arange(1001) / 1000, level=0.8) == pytest.approx((0.1, 0.9))


def test_an_interval_prints_and_becomes_data():
    found = Interval(0.87654321, 0.8, 0.95)
    assert str(found) == "0.877 [0.800, 0.950]"
    assert found.data() == {"value": 0.876543, "low": 0.8, "high": 0.95}


def test_subgroups_are_scored_each_for_itself_the_largest_first():
    outputs = torch.tensor([[1.0, 0.0]] * 6)
    targets = np.array([0, 0, 1, 1, 0, 0])
    metric = CLASSIFICATION["accuracy"]
    found = by_subgroup(metric, outputs, targets, np.arange(6), ("u", "v", "u", "v", "u", ""))
    assert list(found) == ["u", "v", "(empty)"]
    assert found["u"] == {"rows": 3, **wilson(2, 3).data()}
    assert found["v"]["value"] == 0.5 and found["(empty)"]["value"] == 1


@pytest.mark.parametrize(
    ("value", "shown"),
    ((0.87, "0.870"), (0.0, "0.000"), (0.001, "0.001"), (-0.25, "-0.250"), (1234.5, "1234.500"),
     (0.000123456, "0.000123"), (123456.7, "1.23e+05")),
)  # fmt: skip
def test_figures_say_something_at_any_scale(value, shown):
    assert figure(value) == shown
    assert figure(value, "+") == (shown if value < 0 else f"+{shown}")


def test_errors_in_small_units_keep_their_digits():
    assert Interval(1.23456789e-5, 1e-5, 2e-5).data()["value"] == 1.23457e-5
    assert Interval(0.123456789, 1e-5, 0.2).data() == {"value": 0.123457, "low": 1e-5, "high": 0.2}


@pytest.mark.parametrize("units", (np.arange(200), np.repeat(np.arange(100), 2)))
def test_overlap_widens_and_repeats_are_averaged(units):
    accuracy = CLASSIFICATION["accuracy"]
    one, other = (np.repeat([1.0, 0.0], [right, 200 - right])[:, None] for right in (160, 120))
    plain = repeated_interval(accuracy, [one, other], units)
    wide = repeated_interval(accuracy, [one, other], units, overlap=1.5)
    assert (plain.value, wide.value) == pytest.approx((0.7, 0.7))
    ratio = (wide.high - wide.low) / (plain.high - plain.low)
    assert ratio == pytest.approx(np.sqrt(1.5), rel=0.02)
