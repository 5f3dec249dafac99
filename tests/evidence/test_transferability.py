"""Each score against its definition, computed in another way or by hand."""

from __future__ import annotations

import numpy as np
import pytest
from scipy.linalg import null_space
from scipy.optimize import minimize
from scipy.stats import multivariate_normal
from sklearn.covariance import ledoit_wolf

from headstart.evidence.transferability import Suit, answers_of, transferability
from headstart.evidence.transferability.transrate import PRECISION


def suit_of(features, strata, **more):
    features, strata = np.asarray(features, np.float64), np.asarray(strata)
    features = features - features.mean(0)
    given = {"answers": answers_of(strata), "units": np.arange(len(strata)), **more}
    return Suit(features=features, strata=strata, **given)


@pytest.fixture
def rows():
    """Features of 60 rows that tell three classes."""
    random = np.random.default_rng(0)
    strata = np.arange(60) % 3
    return random.normal(size=(60, 8)) + 2 * np.eye(3, 8)[strata], strata


def score(name, suit):
    return transferability.get(name)(suit)


def evidence(features, answer, prior, noise):
    spread = np.eye(len(answer)) / noise + features @ features.T / prior
    return multivariate_normal(np.zeros(len(answer)), spread).logpdf(answer) / len(answer)


@pytest.mark.parametrize("width", [8, 90])
def test_logme_is_the_evidence_at_its_maximum(width):
    random = np.random.default_rng(1)
    features = random.normal(size=(40, width))
    features -= features.mean(0)
    answer = features[:, :3] @ [1.0, -2.0, 0.5] + 0.5 * random.normal(size=40)
    answer -= answer.mean()
    whole = null_space(np.ones((1, 40))).T  # the same without the direction of the mean
    found = score("logme", suit_of(features, np.zeros(40, int), answers=answer[:, None]))
    best = minimize(
        lambda logs: -evidence(whole @ features, whole @ answer, *np.exp(logs)),
        np.zeros(2),
        method="Nelder-Mead",
    )
    assert found == pytest.approx(-best.fun, abs=2e-3)
    moved = score("logme", suit_of(features, np.zeros(40, int), answers=answer[:, None] + 5))
    assert moved == pytest.approx(found), "what all answers have in common explains nothing"


@pytest.mark.parametrize("width", [8, 100])
def test_h_score_is_the_trace_of_its_definition(width):
    strata = np.arange(60) % 3
    features = np.random.default_rng(2).normal(size=(60, width)) + np.eye(3, width)[strata]
    centred = features - features.mean(0)
    covariance, shrinkage = ledoit_wolf(centred, assume_centered=True)
    means = np.stack([centred[strata == s].mean(0) for s in strata])
    between = means.T @ means / len(means)
    expected = np.trace(np.linalg.inv(covariance) @ between) * (1 - shrinkage)
    assert score("h-score", suit_of(features, strata)) == pytest.approx(expected, rel=1e-6)


def test_transrate_of_two_rows_by_hand():
    # rows (1, 0) and (-1, 0): centred already, of length one on average, each a class of its own
    found = score("transrate", suit_of([[1.0, 0.0], [-1.0, 0.0]], [0, 1]))
    one = 0.5 * np.log(1 + 1 / PRECISION)  # all rows, and either class alone
    assert found == pytest.approx(one - one)
    both = score("transrate", suit_of([[1, 0], [-1, 0], [1, 0], [-1, 0]], [0, 1, 1, 0]))
    assert both == pytest.approx(0)
    apart = suit_of([[1, 0], [-1, 0], [0, 1], [0, -1]], [0, 0, 1, 1])
    whole = 0.5 * 2 * np.log(1 + 0.5 / PRECISION)
    assert score("transrate", apart) == pytest.approx(whole - one)


def test_leep_by_hand():
    # the head says z with certainty; of the rows with z = 0 two of three are of class 0
    head = np.array([[1.0, 0.0], [1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])
    found = score("leep", suit_of(np.zeros((4, 1)), [0, 0, 1, 1], head=head))
    assert found == pytest.approx((2 * np.log(2 / 3) + np.log(1 / 3) + np.log(1)) / 4)


def test_leep_needs_a_head(rows):
    assert score("leep", suit_of(*rows)) is None


def test_neighbours_of_another_unit_explain_the_answers():
    features = np.repeat([[1.0, 0.0], [0.0, 1.0], [-1.0, -1.0]], 8, axis=0)
    features += 0.01 * np.random.default_rng(0).normal(size=features.shape)
    strata = np.repeat([0, 1, 2], 8)
    assert score("nearest", suit_of(features, strata)) == pytest.approx(1)
    # each class is one unit: all neighbours are of other classes
    assert score("nearest", suit_of(features, strata, units=strata)) < 0


def test_neighbours_say_nothing_of_one_unit(rows):
    features, strata = rows
    assert score("nearest", suit_of(features, strata, units=np.zeros(60, int))) is None


@pytest.mark.parametrize("name", ["logme", "h-score", "transrate", "nearest"])
def test_features_that_tell_the_classes_score_more_than_noise(name, rows):
    features, strata = rows
    noise = np.random.default_rng(3).normal(size=features.shape)
    assert score(name, suit_of(features, strata)) > score(name, suit_of(noise, strata))


@pytest.mark.parametrize("name", ["h-score", "transrate"])
def test_constant_features_cannot_be_scored(name, rows):
    assert score(name, suit_of(np.ones((60, 4)), rows[1])) is None


def test_answers_are_indicators_labels_or_numbers():
    assert answers_of(np.array([0, 2])).tolist() == [[1, 0, 0], [0, 0, 1]]
    labels = np.array([[1, 0], [0, 1]], np.float32)
    assert answers_of(labels).tolist() == labels.tolist()
    assert answers_of(np.array([0.5, 1.5])).shape == (2, 1)
