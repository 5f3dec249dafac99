"""What a run tells while it goes on."""

from __future__ import annotations

from pathlib import Path

from headstart.search.ledger import TrialRecord
from headstart.training.loop import Epoch


class Listener:
    """What a race tells while it runs; the default says nothing."""

    def say(self, message: str) -> None:
        """Receive a line for the user."""

    def begin(self, folder: Path) -> None:
        """Receive the run folder, before anything is written there."""

    def trial(self, name: str, best: str, left: float) -> None:
        """Receive what is being tried, the best so far, and the seconds left."""

    def epoch(self, name: str, epoch: Epoch) -> None:
        """Receive an epoch of the trial that runs; its score is as the metric gives it."""

    def done(self, record: TrialRecord, name: str) -> None:
        """Receive a trial that has ended."""
