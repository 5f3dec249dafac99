"""From DATA to a bench: read, check, choose sources, fit the rows to the budget, split, embed."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np

from headstart.data.dataset import Dataset
from headstart.data.reading import read
from headstart.data.splits import Split, split, straddling, units
from headstart.digest import digest_data
from headstart.errors import SourceError, UsageError
from headstart.features.extract import Extractor, OutOfTime
from headstart.search.budget import Clock
from headstart.search.race import Entry, Listener, entries
from headstart.search.reach import READING, Reach, affordable, subset
from headstart.search.trial import Bench
from headstart.sources.catalogue import Source, those
from headstart.sources.families import Output
from headstart.sources.fetching import fetch, is_fetched
from headstart.sources.loading import load_source
from headstart.sources.opening import find_source, is_named_here
from headstart.tasks import metric_for, task_for
from headstart.training.learners import Rows


@dataclass(frozen=True)
class Options:
    """What the user asked for; None is inferred, as `headstart fit --help` says.

    Raises
    ------
    UsageError
        If a value has no meaning.
    """

    data: str | Path
    input: str | None = None
    label: str | None = None
    task: str | None = None
    metric: str | None = None
    group: str | None = None
    test: str | Path | None = None
    source: tuple[str, ...] = ()
    budget: float = 300.0
    max_trials: int | None = None
    seed: int = 0
    out: str | Path | None = None
    refit: bool = True
    resume: bool = False

    def __post_init__(self) -> None:
        if self.max_trials is not None and self.max_trials < 1:
            raise UsageError("--max-trials must be 1 or more")

    def identity(self) -> dict[str, object]:
        """Return what must be the same in every session of one run, as JSON data."""
        named = ("input", "label", "task", "metric", "group", "seed", "refit")
        found = {name: getattr(self, name) for name in named}
        return {**found, "source": list(self.source), "test": self.test and str(self.test)}


@dataclass(frozen=True)
class Prepared:
    """What the race and the closing work on.

    Attributes
    ----------
    dataset
        The rows that are used, `left_out` others not, because of the budget.
    test
        Not read before the race has ended.
    embed_seconds
        What embedding the training and validation rows took.
    """

    dataset: Dataset
    bench: Bench
    test: Rows
    split: Split
    entries: list[Entry]
    left_out: int
    embed_seconds: float


def prepare(options: Options, clock: Clock, listener: Listener, reach: Reach) -> Prepared:
    """Make everything ready for the race; what `reach` does not know yet is found and put there.

    Raises
    ------
    DataError, SourceError, UsageError
        If the data, a source or an option cannot be used.
    """
    dataset = _read(options, clock, reach)
    task = task_for(dataset, options.task)
    dataset, spec = task.validate(dataset)
    _say_what_was_read(dataset, task.name, listener)
    extractors = _load(
        _shortlist(options, dataset.modality, clock, listener), task.output, clock, listener
    )
    planned = list(entries(task, list(extractors)))
    everything = _rows(dataset, task.encode(dataset, spec))
    bench = Bench(
        task=task,
        spec=spec,
        metric=metric_for(task, options.metric),
        train=everything,
        validation=everything,
        extractors=extractors,
        data=dataset.fingerprint(),
        split="",
        seed=options.seed,
    )
    reach.rows = reach.rows or affordable(planned, clock, bench)
    left_out = dataset.unseen + max(0, len(dataset) - reach.rows)
    if reach.rows < len(dataset):
        dataset = subset(dataset, task.strata(everything.targets), reach.rows, options.seed)
        everything = _rows(dataset, task.encode(dataset, spec))
    if left_out:
        listener.say(
            f"  the budget does not reach for all rows: a stratified subset of {len(dataset):,} "
            f"is used, {left_out:,} are left out (a larger --budget uses more)"
        )
    parts = split(dataset, task.strata(everything.targets), options.seed)
    listener.say(
        f"  {len(parts.train):,} rows to learn from, {len(parts.validation):,} to choose by, "
        f"{len(parts.test):,} to test on ({parts.method})"
    )
    bench = replace(
        bench,
        train=_some(everything, parts.train),
        validation=_some(everything, parts.validation),
        split=_digest(dataset, parts),
    )
    seconds = _embed(bench, clock, listener)
    test = _some(everything, parts.test)
    return Prepared(dataset, bench, test, parts, planned, left_out, seconds)


def _read(options: Options, clock: Clock, reach: Reach) -> Dataset:
    dataset = read(
        options.data,
        input=options.input,
        label=options.label,
        group=options.group,
        test=options.test,
        seed=options.seed,
        enough=reach.enough(time.monotonic() + clock.left * READING),
    )
    return dataset.without(straddling(dataset))


def _say_what_was_read(dataset: Dataset, task: str, listener: Listener) -> None:
    listener.say(f"read {len(dataset):,} rows: {task}")
    for note in dataset.notes:
        listener.say(f"  {note}")
    if dataset.set_aside:
        listener.say(f"  {len(dataset.set_aside)} rows set aside:")
        for aside in dataset.set_aside[:5]:
            listener.say(f"    {aside.where}: {aside.reason}")
        if len(dataset.set_aside) > 5:
            listener.say("    … all of them are in the ledger")


def _load(
    chosen: list[Source], output: Output, clock: Clock, listener: Listener
) -> dict[str, Extractor]:
    """Load the sources; what has to be fetched first is not part of the budget."""
    extractors: dict[str, Extractor] = {}
    for source in chosen:
        if not is_fetched(source):
            with clock.paused():
                listener.say(f"{source.id} is not on this machine yet (not part of the budget)")
                fetch(source, listener.say)
        loaded = load_source(source, output)
        extractors[source.id] = Extractor(loaded.backbone, loaded.digest)
    return extractors


def _shortlist(options: Options, modality: str, clock: Clock, listener: Listener) -> list[Source]:
    """Return the sources to try: those asked for, or the modality's default ones."""
    if not options.source:
        return [source for source in those(modality) if source.default]
    for name in options.source:
        if not is_named_here(name):
            with clock.paused():
                find_source(name, modality, listener.say)
    chosen = [find_source(name, modality) for name in options.source]
    for source in chosen:
        if source.modality != modality:
            fitting = [fit.id for fit in those(modality)]
            raise SourceError(
                f"{source.id} is for {source.modality} inputs, but these are {modality}. "
                f"For {modality}: {', '.join(fitting)}."
            )
    return chosen


def _embed(bench: Bench, clock: Clock, listener: Listener) -> float:
    """Compute the features of all rows but the test rows; return the seconds it took.

    Where time is short it stops, and the trials that need the features go on or say so.
    """
    started = time.monotonic()
    for name, extractor in bench.extractors.items():
        with contextlib.suppress(OutOfTime):
            for rows in (bench.train, bench.validation):
                extractor.extract(
                    rows.data, extractor.backbone.end, late=lambda: clock.left < 0.3 * clock.budget
                )
        for chosen in extractor.chosen.values():
            engine = chosen.engine
            listener.say(f"  {name}: frozen layers run in {engine.name} ({engine.precision})")
            for reason in chosen.refused:
                listener.say(f"    not in {reason}")
    return time.monotonic() - started


def _rows(dataset: Dataset, targets: np.ndarray) -> Rows:
    return Rows(dataset, targets, units(dataset))


def _some(rows: Rows, numbers: np.ndarray) -> Rows:
    return Rows(rows.data.take(numbers.tolist()), rows.targets[numbers], rows.units[numbers])


def _digest(dataset: Dataset, parts: Split) -> str:
    found = {
        name: [dataset.digests[i] for i in rows.tolist()]
        for name, rows in (
            ("train", parts.train),
            ("validation", parts.validation),
            ("test", parts.test),
        )
    }
    return digest_data(found)
