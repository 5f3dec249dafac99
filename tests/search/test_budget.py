"""Budgets, the clock, and what stops a run."""

from __future__ import annotations

import os
import signal
import time

import pytest
from hypothesis import given
from hypothesis import strategies as st

from headstart.errors import UsageError
from headstart.search.budget import Clock, Stopped, grace, parse_budget, stoppable


@pytest.mark.parametrize(
    ("text", "seconds"),
    [("90", 90), ("60s", 60), ("5m", 300), ("1.5h", 5400), (" 2 min ", 120), (20, 20), (".5m", 30)],
)
def test_budgets_are_read_in_the_usual_ways(text, seconds):
    assert parse_budget(text) == seconds


@pytest.mark.parametrize("text", ["", "0", "0s", "-3", "soon", "5 parsecs", "nan", "inf", "1e3x"])
def test_budgets_without_meaning_are_refused(text):
    with pytest.raises(UsageError, match="budget"):
        parse_budget(text)


@given(st.floats(0.01, 1e5))
def test_a_number_is_its_seconds(seconds):
    assert parse_budget(f"{seconds:.4f}") == pytest.approx(seconds, abs=1e-4)


def test_clock_adds_earlier_sessions_and_leaves_pauses_out():
    clock = Clock(100.0, started=time.monotonic() - 10, before=5)
    assert clock.used == pytest.approx(15, abs=0.5)
    clock.started -= 20
    with clock.paused():
        begin = clock.used
        time.sleep(0.05)
    assert clock.used == pytest.approx(begin, abs=0.03)


@pytest.mark.parametrize(("budget", "seconds"), [(10, 2.0), (40, 2.0), (600, 30.0)])
def test_grace_is_five_percent_or_two_seconds(budget, seconds):
    assert grace(budget) == seconds


@pytest.mark.parametrize(
    ("number", "status"), [(signal.SIGINT, "interrupted"), (signal.SIGTERM, "interrupted")]
)
def test_signals_stop_the_run_and_handlers_come_back(number, status):
    before = signal.getsignal(number)
    with pytest.raises(Stopped) as stop, stoppable(Clock(60.0)):
        os.kill(os.getpid(), number)
        time.sleep(1)
    assert stop.value.status == status
    assert signal.getsignal(number) is before


def test_work_that_ignores_the_deadline_is_stopped_after_it():
    started = time.monotonic()
    with pytest.raises(Stopped) as stop, stoppable(Clock(0.2)):
        time.sleep(20)
    assert stop.value.status == "budget"
    assert time.monotonic() - started < 10


def test_no_alarm_ends_what_does_not_count():
    clock = Clock(0.2)
    with stoppable(clock), clock.paused():
        time.sleep(1.2)  # the alarm comes at 0.8 s: a source is being fetched
        with clock.paused():
            pass
        assert clock.left > 0
    assert 0 < clock.left < 0.2


def test_time_given_back_moves_the_alarm():
    clock = Clock(0.1)
    with stoppable(clock):
        clock.excluded += 5
        time.sleep(1.0)  # the alarm comes, finds time left, and is set anew
    assert clock.left > 0
