"""Following a run in TensorBoard."""

from __future__ import annotations

import pytest
from tensorboard.backend.event_processing.event_accumulator import EventAccumulator

from headstart.errors import UsageError
from headstart.report import tracking
from headstart.report.tracking import followed
from headstart.search.ledger import TrialRecord
from headstart.search.listener import Listener
from headstart.training.loop import Epoch


class Told(Listener):
    """Remembers what it was told."""

    def __init__(self):
        self.told = []

    def __getattribute__(self, name):
        if name in ("say", "begin", "trial", "epoch", "done"):
            return lambda *given: self.told.append((name, *given))
        return super().__getattribute__(name)


def test_epochs_and_trials_are_written_and_passed_on(tmp_path):
    other = Told()
    listener = followed(other, "tensorboard")
    listener.begin(tmp_path)
    listener.say("something")
    listener.trial("finetune", "0.5", 10.0)
    for number in (1, 2):
        listener.epoch("finetune", Epoch(number, 1.0 / number, 0.4 + 0.1 * number, 0.9, 32))
    listener.epoch("refit", Epoch(1, 0.3, None, None, 32))
    listener.done(TrialRecord(4, "key", {}, "done", 0.6, 1.0, {}), "finetune")
    listener.done(TrialRecord(5, "other", {}, "failed", None, 1.0, {}), "full")
    assert [name for name, *_ in other.told] == (
        ["begin", "say", "trial", "epoch", "epoch", "epoch", "done", "done"]
    )
    written = EventAccumulator(str(tmp_path / "tensorboard")).Reload()
    known = {tag: written.Scalars(tag) for tag in written.Tags()["scalars"]}
    assert [(s.step, s.value) for s in known["finetune (1)/loss"]] == [(1, 1.0), (2, 0.5)]
    assert [s.value for s in known["finetune (1)/validation score"]] == pytest.approx([0.5, 0.6])
    assert "refit (1)/validation loss" not in known
    assert [(s.step, s.value) for s in known["trials/score"]] == [(4, pytest.approx(0.6))]


def test_without_a_tracker_nothing_is_written():
    listener = Listener()
    assert followed(listener, None) is listener


def test_unknown_trackers_and_missing_packages_are_said(monkeypatch):
    with pytest.raises(UsageError, match="it is tensorboard"):
        followed(Listener(), "wandb")
    monkeypatch.setattr(tracking, "find_spec", lambda name: None)
    with pytest.raises(UsageError, match=r"pip install 'headstart\[tracking\]'"):
        followed(Listener(), "tensorboard")
