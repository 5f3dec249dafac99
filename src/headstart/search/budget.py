"""A budget is a promise: the clock of a run, and what stops it."""

from __future__ import annotations

import contextlib
import re
import signal
import threading
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from headstart.errors import BudgetError, UsageError

SAVING = 0.7
"""Seconds kept back for writing the artifact and the result; a tenth of a budget at most."""

_UNITS = {"": 1.0, "s": 1.0, "m": 60.0, "min": 60.0, "h": 3600.0}


def parse_budget(text: str | float) -> float:
    """Return a budget such as ``90``, ``60s``, ``5m`` or ``1.5h`` in seconds.

    Raises
    ------
    UsageError
        If it is no number of seconds, minutes or hours, or not above zero.
    """
    found = re.fullmatch(r"\s*([0-9]*\.?[0-9]+)\s*([a-z]*)\s*", str(text).lower())
    if not found or found[2] not in _UNITS:
        raise UsageError(f"the budget {text!r} is no time; write it as 90, 60s, 5m or 1.5h")
    seconds = float(found[1]) * _UNITS[found[2]]
    if not 0 < seconds < float("inf"):
        raise UsageError(f"the budget {text!r} leaves no time; give it some seconds at least")
    return seconds


@dataclass
class Clock:
    """Counts what a run has used of its budget.

    Parameters
    ----------
    budget
        Seconds.
    started
        Value of ``time.monotonic()`` when the process or the call began.
    before
        Seconds that earlier sessions of the same run have used.
    excluded
        Seconds that do not count (fetching weights).
    """

    budget: float
    started: float = field(default_factory=time.monotonic)
    before: float = 0.0
    excluded: float = 0.0
    _paused: float | None = field(default=None, init=False, repr=False)
    """When the pause began that lasts."""

    @property
    def used(self) -> float:
        """Return the seconds used, earlier sessions included."""
        now = time.monotonic() if self._paused is None else self._paused
        return self.before + now - self.started - self.excluded

    @property
    def left(self) -> float:
        """Return the seconds left; negative once the budget is used up."""
        return self.budget - self.used

    @property
    def saving(self) -> float:
        """Return the seconds to keep back for writing the artifact and the result."""
        return min(SAVING, 0.1 * self.budget)

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Leave the time inside out of the account: it stands still, for the alarm as well."""
        if self._paused is not None:
            yield
            return
        self._paused = time.monotonic()
        try:
            yield
        finally:
            self.excluded += time.monotonic() - self._paused
            self._paused = None


class Stopped(BaseException):
    """The run shall end now, with the best model so far; `status` says why.

    Not an `Exception`, so that no handler on the way takes it for a failure.
    """

    def __init__(self, status: str) -> None:
        super().__init__(status)
        self.status = status


def too_short(budget: float) -> BudgetError:
    """Return the error of a run that has no model when its budget ends."""
    return BudgetError(
        f"the budget of {budget:g} s ended before any model was usable; "
        "give it some more (20s is enough for small data)"
    )


def spent(budget: float, model: Path) -> BudgetError:
    """Return the error of a run that cannot go on; an earlier session left it the `model`."""
    return BudgetError(
        f"nothing is left of the budget of {budget:g} s; the best model so far is in {model}. "
        "Resume with a larger --budget for more."
    )


def grace(budget: float) -> float:
    """Return the seconds by which a run may end late."""
    return max(2.0, 0.05 * budget)


_HAS_ALARM = hasattr(signal, "SIGALRM")


def arm(clock: Clock) -> None:
    """Set the alarm to shortly after the deadline; once more whenever the clock was changed."""
    if _HAS_ALARM and threading.current_thread() is threading.main_thread():
        signal.setitimer(signal.ITIMER_REAL, max(0.01, clock.left + 0.3 * grace(clock.budget)))


@contextlib.contextmanager
def stoppable(clock: Clock) -> Iterator[None]:
    """Raise `Stopped` in the main thread on Ctrl-C, SIGTERM, and shortly after the deadline.

    The alarm is the last resort, for work that does not look at the clock. After the first stop
    further ones are ignored, except a second Ctrl-C, which ends the process at once. Outside the
    main thread signals are left alone.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return

    def stop(number: int, _frame: FrameType | None) -> None:
        alarm = _HAS_ALARM and number == signal.SIGALRM
        if alarm and clock.left > 0:  # time was given back since: weights were fetched
            arm(clock)
            return
        signal.signal(signal.SIGINT, signal.default_int_handler)
        for ignored in numbers[1:]:
            signal.signal(ignored, signal.SIG_IGN)
        raise Stopped("budget" if alarm else "interrupted")

    numbers = [signal.SIGINT, signal.SIGTERM] + ([signal.SIGALRM] if _HAS_ALARM else [])
    before = {number: signal.signal(number, stop) for number in numbers}
    arm(clock)
    try:
        yield
    finally:
        if _HAS_ALARM:
            signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in before.items():
            signal.signal(number, handler)
