"""Following a run elsewhere than in the terminal: in TensorBoard."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path
from typing import Any

from headstart.errors import UsageError
from headstart.search.ledger import TrialRecord
from headstart.search.listener import Listener
from headstart.training.loop import Epoch

TRACKERS = ("tensorboard",)


class TensorBoard(Listener):
    """Writes each epoch's losses and score under its trial's name, and the score of each trial.

    Whatever it is told goes to another listener, too.
    """

    def __init__(self, other: Listener) -> None:
        self._other = other
        self._trials = 0
        self._writer: Any = None

    def say(self, message: str) -> None:
        """Pass a line on."""
        self._other.say(message)

    def begin(self, folder: Path) -> None:
        """Open ``tensorboard/`` in the run folder when the first thing is written."""
        self._folder = folder / "tensorboard"
        self._other.begin(folder)

    def trial(self, name: str, best: str, left: float) -> None:
        """Pass a trial on; several may have one name."""
        self._trials += 1
        self._other.trial(name, best, left)

    def epoch(self, name: str, epoch: Epoch) -> None:
        """Write an epoch."""
        known = {
            "loss": epoch.loss,
            "validation loss": epoch.validation_loss,
            "validation score": epoch.score,
        }
        for kind, value in known.items():
            if value is not None:
                self._to().add_scalar(f"{name} ({self._trials})/{kind}", value, epoch.number)
        self._to().flush()
        self._other.epoch(name, epoch)

    def done(self, record: TrialRecord, name: str) -> None:
        """Write the score of a trial."""
        if record.score is not None:
            self._to().add_scalar("trials/score", record.score, record.id)
            self._to().flush()
        self._other.done(record, name)

    def _to(self) -> Any:
        if self._writer is None:
            from torch.utils.tensorboard import SummaryWriter

            self._writer = SummaryWriter(self._folder)
        return self._writer


def followed(listener: Listener, track: str | None) -> Listener:
    """Return a listener that writes for a tracker besides.

    Raises
    ------
    UsageError
        If there is no such tracker, or its package is not installed.
    """
    if track is None:
        return listener
    if track not in TRACKERS:
        raise UsageError(f"--track {track} is not known; it is {', '.join(TRACKERS)}")
    if find_spec("tensorboard") is None:
        raise UsageError("--track tensorboard needs a package: pip install 'headstart[tracking]'")
    return TensorBoard(listener)
