"""The paired comparison: its sign, its zero, and how often its interval holds the truth."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest

from headstart.evidence import intervals
from headstart.evidence.comparisons import deciding, gain, repeated_gain, score
from headstart.tasks.metrics import CLASSIFICATION

ACCURACY = CLASSIFICATION["accuracy"]


def logits(right, targets, classes=2):
    """Return outputs that answer with the target where `right` says so, else with the next."""
    said = np.where(right, targets, (targets + 1) % classes)
    return torch.eye(classes)[said]


@pytest.fixture
def pair():
    """Outputs of a better and of a worse model for 80 rows, and the targets."""
    random = np.random.default_rng(0)
    targets = random.integers(0, 2, 80)
    better, worse = (logits(random.random(80) < share, targets) for share in (0.9, 0.6))
    return better, worse, targets


@pytest.mark.parametrize("name", CLASSIFICATION)
def test_a_model_gains_nothing_over_itself(pair, name):
    better, _, targets = pair
    found = gain(CLASSIFICATION[name], better, better.clone(), targets, np.arange(80))
    assert found.value == 0
    unsure = 1.96**2 / (80 + 1.96**2) if name == "accuracy" else 0  # no row decides, yet
    assert (-found.low, found.high) == pytest.approx((unsure, unsure), abs=1e-4)


@pytest.mark.parametrize("name", CLASSIFICATION)
def test_positive_is_better_and_swapping_turns_the_sign(pair, name):
    better, worse, targets = pair
    metric, units = CLASSIFICATION[name], np.arange(80)
    ours, theirs = (metric.signed(metric.score(o, targets)) for o in (better, worse))
    found = gain(metric, better, worse, targets, units)
    assert found.value == pytest.approx(ours - theirs) and found.low > 0
    turned = gain(metric, worse, better, targets, units)
    assert (turned.value, turned.low, turned.high) == pytest.approx(
        (-found.value, -found.high, -found.low)
    )


def test_rows_that_are_hard_for_both_cancel_out(pair):
    _, _, targets = pair
    hard = np.arange(80) < 40
    right = ~hard
    slightly = right.copy()
    slightly[np.flatnonzero(hard)[:4]] = True
    found = gain(
        ACCURACY, logits(slightly, targets), logits(right, targets), targets, np.arange(80)
    )
    assert found.value == pytest.approx(0.05)
    assert found.low > -0.02  # though each score by itself is uncertain by 0.1 on either side


def test_copies_of_rows_do_not_sharpen_the_gain(pair):
    better, worse, targets = (x.repeat(4, 1) if torch.is_tensor(x) else np.tile(x, 4) for x in pair)
    alone = gain(ACCURACY, better, worse, targets, np.arange(320))
    grouped = gain(ACCURACY, better, worse, targets, np.arange(320) % 80)
    assert grouped.value == alone.value
    assert grouped.high - grouped.low > 1.7 * (alone.high - alone.low)


def simulated(random, metric, copies):
    """Return the gain of one of two equally good models over the other, on 60 units of rows."""
    targets = random.integers(0, 2, 60)
    ours, theirs = (logits(random.random(60) < 0.75, targets) for _ in range(2))
    noise = (torch.from_numpy(random.normal(size=(60, 2))).float() for _ in range(2))
    ours, theirs = (o + 0.3 * n for o, n in zip((ours, theirs), noise, strict=True))
    rows = np.tile(np.arange(60), copies)
    return gain(metric, ours[rows], theirs[rows], targets[rows], rows)


@pytest.mark.parametrize(("name", "copies"), (("accuracy", 1), ("accuracy", 3), ("log_loss", 1)))
def test_the_interval_holds_a_true_zero_as_often_as_it_says(monkeypatch, name, copies):
    monkeypatch.setattr(intervals, "RESAMPLES", 200)
    random = np.random.default_rng(1)
    found = [simulated(random, CLASSIFICATION[name], copies) for _ in range(200)]
    assert np.mean([i.low <= 0 <= i.high for i in found]) >= 0.92


@pytest.mark.parametrize("units", (2, 3, 4, 8))
@pytest.mark.parametrize("name", ("accuracy", "macro_f1"))
def test_of_few_units_none_is_taken_for_a_gain(name, units):
    random, metric, wrong = np.random.default_rng(units), CLASSIFICATION[name], 0
    unit_of = np.repeat(np.arange(units), 20)
    targets = np.arange(20 * units) % 2
    for seed in range(60):
        shift = random.normal(0, 0.05, units)[unit_of]
        ours, theirs = (
            torch.from_numpy(
                np.eye(2)[np.where(random.random(20 * units) < p, targets, 1 - targets)]
            )
            for p in (0.7 + shift, 0.7 - shift)
        )
        found = gain(metric, ours, theirs, targets, unit_of, seed)
        wrong += found.low > 0 or found.high < 0
    assert wrong <= 7


def test_one_copy_changes_an_interval_hardly():
    metric, targets = CLASSIFICATION["accuracy"], np.zeros(60, int)
    ours = np.eye(2)[np.repeat([0, 1], [40, 20])]
    theirs = ours.copy()
    theirs[[3, 10, 20, 30]] = [0, 1]
    units = np.arange(60)
    alone = gain(metric, torch.from_numpy(ours), torch.from_numpy(theirs), targets, units)
    units[1] = 0
    tied = gain(metric, torch.from_numpy(ours), torch.from_numpy(theirs), targets, units)
    assert alone.low < 0 and (tied.low, tied.high) == pytest.approx(
        (alone.low, alone.high), abs=0.01
    )


def test_one_unit_alone_shows_nothing(pair):
    better, worse, targets = pair
    found = gain(ACCURACY, better, worse, targets, np.zeros(80, int))
    assert found.low <= found.value <= found.high


@pytest.mark.parametrize(("won", "lost"), [(9, 3), (22, 12), (5, 14), (8, 1), (30, 10), (0, 6)])
def test_the_exact_interval_leaves_out_zero_just_where_mcnemars_test_rejects(won, lost):
    low, high = deciding(won, lost, 200)
    rejected = binomtest(won, won + lost).pvalue < 0.05
    assert (low > 0 or high < 0) == rejected
    assert low <= (won - lost) / 200 <= high


@pytest.mark.parametrize(
    ("won", "lost", "rows"), [(9, 3, 40), (22, 12, 200), (5, 14, 60), (8, 0, 30), (0, 6, 500)]
)
def test_the_score_intervals_ends_are_where_its_statistic_reaches_the_quantile(won, lost, rows):
    """The constrained maximum is searched for here, not taken from its formula."""
    for true in score(won, lost, rows):
        shares = np.linspace(max(0, -true) + 1e-9, (1 - true) / 2 - 1e-9, 200_001)
        likelihood = (
            won * np.log(shares + true)
            + lost * np.log(shares)
            + (rows - won - lost) * np.log(1 - true - 2 * shares)
        )
        theirs = shares[np.argmax(likelihood)]
        spread = np.sqrt(rows * (2 * theirs + true - true**2))
        assert abs(won - lost - rows * true) / spread == pytest.approx(1.96, abs=0.01)


@given(st.integers(0, 60), st.integers(0, 60), st.integers(1, 200))
def test_the_score_interval_turns_with_its_sides_and_holds_the_difference(won, lost, more):
    rows = won + lost + more
    low, high = score(won, lost, rows)
    assert -1 <= low < (won - lost) / rows < high <= 1
    assert score(lost, won, rows) == pytest.approx((-high, -low), abs=1e-6)


@pytest.mark.parametrize("name", ("accuracy", "macro_f1"))
def test_a_gain_of_repeats_is_their_mean_and_overlap_widens_it(name):
    random, metric = np.random.default_rng(0), CLASSIFICATION[name]
    targets = random.integers(0, 2, 200)

    def said(right):
        answers = np.where(random.random(200) < right, targets, 1 - targets)
        return metric.statistics(torch.eye(2)[answers], targets)

    ours, theirs = [said(0.9), said(0.85)], [said(0.6), said(0.65)]
    each = [
        repeated_gain(metric, [a], [b], np.arange(200)).value
        for a, b in zip(ours, theirs, strict=True)
    ]
    plain = repeated_gain(metric, ours, theirs, np.arange(200))
    wide = repeated_gain(metric, ours, theirs, np.arange(200), overlap=1.3)
    assert plain.value == wide.value == pytest.approx(np.mean(each))
    assert wide.low < plain.low < plain.value < plain.high < wide.high
