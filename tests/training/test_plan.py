"""The freeze plan: learning rates by group and step, from the step alone."""

from __future__ import annotations

import pytest

from headstart.recipes import Phase
from headstart.training.plan import HEAD, WARM, FreezePlan

TWO = FreezePlan((Phase(2, 1e-2, last=0), Phase(3, 1e-3, body=0.1)), 10, ("a", "b"))


def test_steps_are_those_of_all_phases():
    assert TWO.steps == 50


@pytest.mark.parametrize(
    ("step", "trained"),
    ((0, [HEAD]), (19, [HEAD]), (20, ["a", "b", HEAD]), (49, ["a", "b", HEAD]), (50, []), (99, [])),
)
def test_the_step_says_which_groups_train(step, trained):
    assert TWO.trained(step) == trained


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
    plan = FreezePlan((Phase(1, 1e-3, body=0.0),), 4, ("a",))
    assert [plan.trained(step) for step in range(4)] == [[HEAD]] * 4


def test_stages_are_thawed_from_the_end():
    phases = tuple(Phase(1, 1e-3, last=last) for last in range(4))
    plan = FreezePlan(phases, 1, ("a", "b", "c"))
    found = [plan.trained(step) for step in range(4)]
    assert found == [[HEAD], ["c", HEAD], ["b", "c", HEAD], ["a", "b", "c", HEAD]]
    assert plan.picture() == ["head  ████", "c     ·███", "b     ··██", "a     ···█"]


def test_stages_in_the_middle_may_train_alone():
    plan = FreezePlan((Phase(2, 1e-3, last=3, sparing=0.25),), 1, ("a", "b", "c", "d"))
    assert plan.trained(0) == ["b", "c", HEAD]


def test_rates_fade_from_stage_to_stage():
    plan = FreezePlan((Phase(1, 1e-2, body=0.5, fading=0.1),), 4, ("a", "b", "c"))
    shares = [plan.rate(group, 2) / plan.rate(HEAD, 2) for group in ("c", "b", "a", "others")]
    assert shares == pytest.approx([0.5, 0.05, 0.005, 0.5])


def test_the_rate_of_a_step_does_not_depend_on_the_steps_before():
    forwards = [TWO.rate("a", step) for step in range(50)]
    backwards = [TWO.rate("a", step) for step in reversed(range(50))]
    assert forwards == backwards[::-1]


def test_a_plan_without_phases_trains_nothing():
    assert FreezePlan((), 5).steps == 0 and FreezePlan((), 5).rate(HEAD, 0) == 0


def test_a_single_step_has_a_rate():
    assert FreezePlan((Phase(1, 1e-3),), 1).rate(HEAD, 0) > 0


def test_a_plan_over_groups_leaves_out_what_is_no_stage():
    plan = FreezePlan.over((Phase(1, 1e-3),), ["a", "b", "others", HEAD], 7)
    assert plan.stages == ("a", "b") and plan.steps == 7
