"""Fixtures for the learners: everything runs in eager PyTorch, on toys."""

from __future__ import annotations

from dataclasses import replace

import pytest


@pytest.fixture(autouse=True)
def _alone(own_cache, eager):
    """Leave no traces, compile nothing."""


@pytest.fixture
def refit():
    """A function that turns an assignment into that of a refit: all rows, in two pieces."""

    def make(assignment, settled):
        pieces = (*assignment.train, assignment.validation)
        return replace(assignment, train=pieces, validation=None, settled=settled)

    return make


class Countdown:
    """A deadline that comes after it was asked so many times."""

    def __init__(self, times):
        self.left = times

    def __call__(self):
        self.left -= 1
        return self.left < 0


@pytest.fixture
def after():
    """A function that makes a deadline which comes after it was asked so many times."""
    return Countdown
