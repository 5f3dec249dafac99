"""Overfitting against courses of losses that are known."""

from __future__ import annotations

import pytest

from headstart.training.overfitting import overfitting


def test_it_is_named_with_its_beginning_and_the_gap():
    found = overfitting([1.0, 0.6, 0.3, 0.1, 0.1], [1.0, 0.7, 0.8, 0.9, 1.1])
    assert found.since == 3 and found.gap == pytest.approx(1.0 - 0.1)
    assert str(found) == "overfitting since epoch 3: its loss is 0.9 higher on new rows"


@pytest.mark.parametrize(
    ("losses", "validation"),
    (
        ([1.0, 0.6, 0.3, 0.2], [1.0, 0.7, 0.5, 0.4]),  # still learning
        ([1.0, 0.6, 0.3, 0.2], [1.0, 0.7, 0.72, 0.71]),  # hardly any worse
        ([1.0, 0.6, 0.3], [1.0, 0.7, 2.0]),  # one epoch only
        ([1.0, 1e-3, 1e-5, 1e-6], [1.0, 1e-5, 2e-5, 3e-5]),  # all is known already
        ([1.0, 0.6, 0.9, 0.9], [1.0, 0.5, 0.9, 0.9]),  # both get worse: that is something else
        ([1.0, 0.6, 0.3, 0.1], [None] * 4),  # a refit
        ([], []),
    ),
)
def test_it_is_not_named_where_there_is_none(losses, validation):
    assert overfitting(losses, validation) is None
