"""Progress of a run on standard error."""

from __future__ import annotations

from rich.console import Console
from rich.control import Control
from rich.segment import ControlType

from headstart.evidence.intervals import figure
from headstart.search.budget import Clock
from headstart.search.ledger import TrialRecord
from headstart.search.listener import Listener
from headstart.training.loop import Epoch


class Live(Listener):
    """Says what is being tried, the best so far, and the time left."""

    def __init__(self, clock: Clock, quiet: bool = False) -> None:
        self._clock = clock
        self._console = Console(stderr=True, quiet=quiet, highlight=False, soft_wrap=True)

        self._passing = False

    def say(self, message: str) -> None:
        """Print a line."""
        self._clear()
        self._console.print(f"{self._clock.used:6.1f} s  {message}", markup=False)

    def epoch(self, name: str, epoch: Epoch) -> None:
        """Show an epoch in a terminal, in place of the one before."""
        if not self._console.is_terminal:
            return
        score = "" if epoch.score is None else f", {figure(epoch.score)} on validation rows"
        self._clear()
        self._console.print(
            f"          {name}: epoch {epoch.number}, loss {figure(epoch.loss)}{score}",
            markup=False,
            end="",
            overflow="crop",
            no_wrap=True,
        )
        self._passing = True

    def _clear(self) -> None:
        if self._passing:
            self._console.control(
                Control(ControlType.CARRIAGE_RETURN, (ControlType.ERASE_IN_LINE, 2))
            )
            self._passing = False

    def trial(self, name: str, best: str, left: float) -> None:
        """Announce a trial."""
        self.say(f"trying {name}; best so far {best}; {left:.0f} s left")

    def done(self, record: TrialRecord, name: str) -> None:
        """Tell how a trial ended."""
        if record.score is None:
            self.say(f"  {name} has no score: {record.details.get('reason')}")
            return
        short = ", cut short by the budget" if record.details.get("cut_short") else ""
        where = "rows held out" if "folds" in record.details else "the validation rows"
        self.say(f"  {name}: {figure(record.score)} on {where}{short}")
        plan = record.details.get("plan") or []
        if any("·" in line and "█" in line for line in plan):  # a stage thaws on the way
            for line in plan:  # stages down, epochs across
                self.say(f"      {line}")
