"""A run under the clock: what the scripts of all systems share.

This runs in the environment of each system, so it imports the standard library alone.
"""

from __future__ import annotations

import _frozen_importlib
import contextlib
import json
import os
import signal
import sys
import threading
import time
import traceback
from collections.abc import Callable, Iterator, Sequence
from importlib import metadata
from pathlib import Path
from typing import Any

from peers.job import Job, labels

FIRST = 3.0
"""Seconds before which no point is taken."""
SPACING = 2.0
"""How many times further the clock stands at a point than at the one before."""
PACKAGES = (
    *("headstart", "fastai", "setfit", "sentence-transformers", "autogluon.multimodal"),
    *("lightning", "transformers", "accelerate", "datasets", "timm", "scikit-learn", "openvino"),
    *("torch", "torchvision"),
)

_IMPORTING: Any = _frozen_importlib
Save = Callable[[Path], object]
"""Writes the model as it is now to a path of its own."""
Answers = Callable[[Path], Sequence[str]]
"""The classes that the model at a path gives to the rows of the test, in their order."""


class Clock:
    """Counts seconds, except those in `paused`."""

    def __init__(self) -> None:
        self._counted = 0.0
        self._since = time.perf_counter()
        self._pauses = 0

    @property
    def seconds(self) -> float:
        """Return the seconds counted; they stand still in a pause."""
        return self._counted + (0.0 if self._pauses else time.perf_counter() - self._since)

    @contextlib.contextmanager
    def paused(self) -> Iterator[None]:
        """Leave the time inside out of the account; pauses may be nested."""
        self._counted = self.seconds
        self._pauses += 1
        try:
            yield
        finally:
            self._pauses -= 1
            self._since = time.perf_counter()


class Race:
    """A run of a system. The clock starts when it is made."""

    def __init__(self, job: Job) -> None:
        self.job = job
        self.clock = Clock()
        self.configuration: dict[str, Any] = {}
        self.points: list[tuple[float, Path]] = []
        self.stopped = False
        self.imports = 0.0
        self._due = FIRST

    def step(self, save: Save) -> bool:
        """Take a point where one is due, and say whether the time is up.

        To be called after each step of training.
        """
        if self.clock.seconds >= self._due:
            self.point(save)
            self._due = self.clock.seconds * SPACING
        self.stopped = self.stopped or self.clock.seconds >= self.job.limit
        return self.stopped

    def point(self, save: Save) -> None:
        """Keep the model as it is now; the clock stands still meanwhile."""
        with self.clock.paused():
            path = self.job.out / f"point-{len(self.points):02d}"
            save(path)
            self.points.append((self.clock.seconds, path))

    def suspend(self, *_: object) -> None:
        """Stop this process until it is told to go on (SIGCONT); the clock stands still."""
        with self.clock.paused():
            os.kill(os.getpid(), signal.SIGSTOP)

    @contextlib.contextmanager
    def imports_left_out(self) -> Iterator[None]:
        """Pause the clock wherever a module is imported for the first time."""
        load = _IMPORTING._find_and_load
        main_thread = threading.current_thread()

        def timed(*arguments: Any) -> Any:
            if threading.current_thread() is not main_thread:
                return load(*arguments)
            begin, outermost = time.perf_counter(), not self.clock._pauses
            with self.clock.paused():
                try:
                    return load(*arguments)
                finally:
                    self.imports += time.perf_counter() - begin if outermost else 0.0

        _IMPORTING._find_and_load = timed
        try:
            yield
        finally:
            _IMPORTING._find_and_load = load


def main(run: Callable[[Race], Answers]) -> None:
    """Run a system on the job that the command line names, and write ``result.json`` beside it.

    `run` fits a model, calls `Race.step` and `Race.point` meanwhile, and returns what answers for
    the models kept. It is under the clock; answering is not.
    """
    job = Job.read(Path(sys.argv[1]))
    started = time.time() - job.launched
    race = Race(job)
    signal.signal(signal.SIGTSTP, race.suspend)
    result: dict[str, Any] = {"curve": []}

    def keep() -> None:
        (job.out / "result.json").write_text(json.dumps(result), encoding="utf-8")

    try:
        with race.imports_left_out():
            answers = run(race)
    except Exception as error:
        traceback.print_exc()
        result["error"] = f"{type(error).__name__}: {error}"
    result |= {
        "stopped": race.stopped,
        "start_up": round(started + race.imports, 2),
        "configuration": race.configuration,
        "versions": _versions(),
    }
    keep()
    if "error" in result:
        return
    truth = labels(job.test)
    for seconds, path in race.points:
        accuracy = _accuracy(answers(path), truth)
        result["curve"].append([round(seconds, 2), round(accuracy, 5)])
        keep()  # what is scored stays, should a later point fail


def _accuracy(given: Sequence[str], truth: list[str]) -> float:
    return sum(a == b for a, b in zip(given, truth, strict=True)) / len(truth)


def _versions() -> dict[str, str]:
    """Return the versions of those of `PACKAGES` that are installed."""
    found = {}
    for package in PACKAGES:
        with contextlib.suppress(metadata.PackageNotFoundError):
            found[package] = metadata.version(package)
    return found
