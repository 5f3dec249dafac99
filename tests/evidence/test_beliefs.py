"""Tests of what models are believed to be worth."""

import math
from statistics import NormalDist

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from headstart.evidence.beliefs import ALIKE, Prior, believed, error
from headstart.tasks.metrics import CLASSIFICATION

ACCURACY, LOG_LOSS = CLASSIFICATION["accuracy"], CLASSIFICATION["log_loss"]
HEAD, TUNED = Prior("a", 0.0, 0.2), Prior("a", 0.4, 0.3)


def test_the_mean_of_the_posterior_is_that_of_two_normal_variables():
    # about a level of their own: the one at 0.1, the other at 0.05 but 0.4 better elsewhere
    (x, v), (y, w) = (error(ACCURACY, score, 100) for score in (0.9, 0.95))
    v, w = (1 - ALIKE) * v, (1 - ALIKE) * w
    precise = 1 / (0.2**2 + v), 1 / (0.3**2 + w)
    level = (precise[0] * x + precise[1] * (y + 0.4)) / sum(precise)
    head = (level / 0.2**2 + x / v) / (1 / 0.2**2 + 1 / v)
    tuned = ((level - 0.4) / 0.3**2 + y / w) / (1 / 0.3**2 + 1 / w)
    found = believed(ACCURACY, [0.9, 0.95], [100, 100], [HEAD, TUNED])
    assert found == pytest.approx([head, tuned])


def test_of_few_rows_what_recipes_brought_decides_and_of_many_the_scores():
    few = believed(ACCURACY, [0.95, 0.925], [40, 40], [HEAD, TUNED])
    many = believed(ACCURACY, [0.95, 0.925], [4_000, 4_000], [HEAD, TUNED])
    assert few[1] < few[0] and many[0] < many[1]


def test_sources_are_not_drawn_together():
    far = believed(ACCURACY, [0.9, 0.6], [40, 40], [HEAD, Prior("b", 0.0, 0.2)])
    assert far == pytest.approx([error(ACCURACY, score, 40)[0] for score in (0.9, 0.6)])


def test_of_an_error_less_is_better():
    found = believed(LOG_LOSS, [0.2, 0.3], [10**6] * 2, [HEAD, TUNED])
    assert found == pytest.approx([math.log(0.2), math.log(0.3)], abs=1e-3)


def test_none_is_as_good_as_none():
    assert believed(ACCURACY, [], [], []) == []


@given(
    st.lists(st.tuples(st.integers(0, 50), st.sampled_from("ab"), st.floats(0, 1)), max_size=8),
    st.integers(1, 10_000),
)
def test_beliefs_lie_between_the_score_and_what_is_known_elsewhere(models, times):
    rows = 50 * times
    scores = [right / 50 for right, _, _ in models]
    measured = [error(ACCURACY, score, rows)[0] for score in scores]
    sure = believed(ACCURACY, scores, [rows] * len(models), [Prior(s, g) for _, s, g in models])
    assert sure == pytest.approx(measured)  # of what nothing is known only the score counts
    same = believed(ACCURACY, scores, [rows] * len(models), [Prior("a", 0.0, 0.2)] * len(models))
    assert np.argsort(same, kind="stable").tolist() == np.argsort(measured, kind="stable").tolist()
    for one in same:
        assert min(measured) - 1e-9 <= one <= max(measured) + 1e-9


BROUGHT = ((0.0, 0.05), (0.1, 0.2), (0.3, 0.3), (0.05, 0.2), (0.08, 0.2), (0.1, 0.2), (0.4, 0.35))
"""What recipes say they bring, and how far that is from certain."""


@pytest.mark.parametrize(
    ("true", "rows", "least", "most"),
    [(1.0, 40, 0.004, 0.015), (1.0, 4_000, -0.001, 0.001), (0.0, 40, -0.003, 0.003)],
)
def test_choosing_by_beliefs_in_made_up_worlds(true, rows, least, most):
    """Where recipes bring what they say, much is won; where nothing, hardly any is lost."""
    random = np.random.default_rng(0)
    gains, doubts = np.array(BROUGHT).T
    priors, won = [Prior("a", *known) for known in BROUGHT], []
    for _ in range(600):
        level = math.log(0.12) + 0.4 * random.normal()
        errors = np.exp(level - true * gains + doubts * random.normal(size=len(gains))).clip(0, 0.9)
        bounds = np.array([NormalDist().inv_cdf(e) for e in errors])
        hard = 0.6**0.5 * random.normal(size=rows) + 0.4**0.5 * random.normal(size=(7, rows))
        scores = 1 - (hard < bounds[:, None]).mean(1)
        scored = max(range(7), key=lambda i: (scores[i], random.random()))
        expected = believed(ACCURACY, scores.tolist(), [rows] * 7, priors)
        won.append(errors[scored] - errors[int(np.argmin(expected))])
    assert least < np.mean(won) < most
