"""The freeze plan: learning rates by group and step, from the step alone."""

from __future__ import annotations

import pytest

from headstart.recipes import Phase
from headstart.training.plan import HEAD, WARM, FreezePlan

TWO = FreezePlan((Phase("head", 2, 1e-2), Phase("all", 3, 1e-3, body=0.1)), steps_an_epoch=10)


def test_steps_are_those_of_all_phases():
    assert TWO.steps == 50


@pytest.mark.parametrize(
    ("step", "trained"),
    ((0, [HEAD]), (19, [HEAD]), (20, ["a", "b", HEAD]), (49, ["a", "b", HEAD]), (50, []), (99, [])),
)
def test_the_step_says_which_groups_train(step, trained):
    assert TWO.trained(["a", "b", HEAD], step) == trained


def test_the_head_s_rate_rises_and_falls_in_each_phase():
    rates = [TWO.rate(HEAD, step) for step in range(50)]
    for begin, end, highest in ((0, 20, 1e-2), (20, 50, 1e-3)):
        phase = rates[begin:end]
        top = phase.index(max(phase))
        assert phase[:top] == sorted(phase[:top])
        assert phase[top:] == sorted(phase[top:], reverse=True)
        assert top == pytest.approx(WARM * (end - begin), abs=1)
        assert 0.97 * highest < max(phase) <= highest
        assert 0 < phase[-1] < 0.02 * highest


def test_stages_train_at_their_share_of_the_head_s_rate():
    for step in range(20, 50):
        assert TWO.rate("a", step) == pytest.approx(0.1 * TWO.rate(HEAD, step))


def test_a_share_of_nothing_freezes_the_stages():
    plan = FreezePlan((Phase("all", 1, 1e-3, body=0.0),), 4)
    assert [plan.trained(["a", HEAD], step) for step in range(4)] == [[HEAD]] * 4


def test_the_rate_of_a_step_does_not_depend_on_the_steps_before():
    forwards = [TWO.rate("a", step) for step in range(50)]
    backwards = [TWO.rate("a", step) for step in reversed(range(50))]
    assert forwards == backwards[::-1]


def test_a_plan_without_phases_trains_nothing():
    assert FreezePlan((), 5).steps == 0 and FreezePlan((), 5).rate(HEAD, 0) == 0


def test_a_single_step_has_a_rate():
    assert FreezePlan((Phase("all", 1, 1e-3),), 1).rate(HEAD, 0) > 0
