"""From DATA to a bench: read, check, choose sources, fit the rows to the budget, split, embed."""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from headstart.data.dataset import Dataset
from headstart.data.reading import Enough, read
from headstart.data.splits import Split, split, straddling, units
from headstart.digest import digest_data
from headstart.errors import SourceError, UsageError
from headstart.features.extract import Extractor, OutOfTime
from headstart.search.budget import Clock
from headstart.search.race import Entry, Listener, entries
from headstart.search.trial import Bench, assign
from headstart.sources.catalogue import Source, sources
from headstart.sources.fetching import is_fetched
from headstart.sources.loading import load_source
from headstart.tasks import metric_for, task_for
from headstart.training.learners import Rows, learners

READING = 0.15
"""Share of the budget in which rows are looked at."""
EMBEDDING = 0.30
"""Share of the time left that embedding all rows once may take."""
SMALL = 0.45
"""Share of the time left that the small model may take: scratch gets a fair trial."""
FEWEST_ROWS = 60
LEARNT = 0.7
"""Share of the rows that are learnt from, at most."""
_MEASURED = 48


@dataclass(frozen=True)
class Options:
    """What the user asked for; None is inferred, as `headstart fit --help` says."""

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


@dataclass
class Reach:
    """How far the budget reached when the run began; a resumed run reaches exactly as far.

    Attributes
    ----------
    looked
        Rows of each path that were looked at; all of them where it is not named.
    rows
        Rows of the subset that is used; None until it is known.
    """

    looked: dict[str, int] = field(default_factory=dict)
    rows: int | None = None

    def enough(self, until: float) -> Enough:
        """Return what ends the reading: the earlier end if there was one, else the time `until`."""
        known = dict(self.looked) if self.rows is not None else None

        def decide(path: str, looked: int) -> bool:
            if known is not None:
                return looked >= known.get(path, looked + 1)
            if time.monotonic() <= until:
                return False
            self.looked[path] = looked
            return True

        return decide


def prepare(options: Options, clock: Clock, listener: Listener, reach: Reach) -> Prepared:
    """Make everything ready for the race; what `reach` does not know yet is found and put there.

    Raises
    ------
    DataError, SourceError, UsageError
        If the data, a source or an option cannot be used.
    """
    dataset = read(
        options.data,
        input=options.input,
        label=options.label,
        group=options.group,
        test=options.test,
        seed=options.seed,
        enough=reach.enough(time.monotonic() + clock.left * READING),
    )
    dataset = dataset.without(straddling(dataset))
    task = task_for(dataset, options.task)
    metric = metric_for(task, options.metric)
    dataset, spec = task.validate(dataset)
    fingerprint = dataset.fingerprint()
    classes = spec.get("classes", [])
    listener.say(f"read {len(dataset):,} rows, {len(classes)} classes: {task.name}")
    for note in dataset.notes:
        listener.say(f"  {note}")
    if dataset.set_aside:
        listener.say(f"  {len(dataset.set_aside)} rows set aside:")
        for aside in dataset.set_aside[:5]:
            listener.say(f"    {aside.where}: {aside.reason}")
        if len(dataset.set_aside) > 5:
            listener.say("    … all of them are in the ledger")
    chosen = _shortlist(options, dataset.modality)
    extractors: dict[str, Extractor] = {}
    for source in chosen:
        if not is_fetched(source):
            with clock.paused():
                listener.say(f"{source.id} is not on this machine yet (not part of the budget)")
                started = time.monotonic()
                loaded = load_source(source, task.output, listener.say)
                listener.say(f"  fetched in {time.monotonic() - started:.0f} s")
        else:
            loaded = load_source(source, task.output)
        extractors[source.id] = Extractor(loaded.backbone, loaded.digest)
    planned = list(entries(dataset.modality, list(extractors)))
    targets = task.encode(dataset, spec)
    everything = _rows(dataset, targets)
    bench = Bench(
        task=task,
        spec=spec,
        metric=metric,
        train=everything,
        validation=everything,
        extractors=extractors,
        data=fingerprint,
        split="",
        seed=options.seed,
    )
    affordable = reach.rows or _affordable(planned, clock, bench)
    reach.rows = affordable
    left_out = max(0, len(dataset) - affordable)
    if left_out:
        dataset = _subset(dataset, task.strata(targets), affordable, options.seed)
        targets = task.encode(dataset, spec)
        listener.say(
            f"  the budget does not reach for all rows: a stratified subset of {len(dataset):,} "
            f"is used, {left_out:,} are left out (a larger --budget uses more)"
        )
    parts = split(dataset, task.strata(targets), options.seed)
    everything = _rows(dataset, targets)
    bench = replace(
        bench,
        train=_some(everything, parts.train),
        validation=_some(everything, parts.validation),
        split=_digest(dataset, parts),
    )
    listener.say(
        f"  {len(parts.train):,} rows to learn from, {len(parts.validation):,} to choose by, "
        f"{len(parts.test):,} to test on ({parts.method})"
    )
    started = time.monotonic()
    for extractor in extractors.values():
        for rows in (bench.train, bench.validation):
            _embed(extractor, rows, clock)
    embedded = time.monotonic() - started
    for name, extractor in extractors.items():
        for chosen_engine in extractor.chosen.values():
            engine = chosen_engine.engine
            listener.say(f"  {name}: frozen layers run in {engine.name} ({engine.precision})")
            for reason in chosen_engine.refused:
                listener.say(f"    not in {reason}")
    return Prepared(
        dataset, bench, _some(everything, parts.test), parts, planned, left_out, embedded
    )


def _shortlist(options: Options, modality: str) -> list[Source]:
    """Return the sources to try: those asked for, or all of the modality."""
    if not options.source:
        return [source for source in sources if source.modality == modality]
    chosen = [sources.get(name) for name in options.source]
    for source in chosen:
        if source.modality != modality:
            fitting = [s.id for s in sources if s.modality == modality]
            raise SourceError(
                f"{source.id} is for {source.modality} inputs, but these are {modality}. "
                f"For {modality}: {', '.join(fitting)}."
            )
    return chosen


def _embed(extractor: Extractor, rows: Rows, clock: Clock) -> None:
    """Compute the features of rows; where time is short, the trials that need them will say so."""
    try:
        extractor.extract(
            rows.data, extractor.backbone.end, late=lambda: clock.left < 0.3 * clock.budget
        )
    except OutOfTime:
        return


def _affordable(planned: list[Entry], clock: Clock, bench: Bench) -> int:
    """Return how many rows can be embedded, and learnt from scratch, in their shares of time."""
    dataset = bench.train.data
    if len(dataset) <= FEWEST_ROWS:
        return len(dataset)
    order = np.random.default_rng(bench.seed).permutation(len(dataset))
    some = dataset.take(order[:_MEASURED].tolist())
    embedding = sum(
        1 / extractor.rate(some, extractor.backbone.end) for extractor in bench.extractors.values()
    )
    rows = clock.left * EMBEDDING / max(embedding, 1e-9)
    small = next((entry for entry in planned if entry.recipe.start == "small"), None)
    if small is not None:
        learner = learners.get(small.recipe.learner)
        seconds = learner.forecast(assign(bench, small.recipe, None, lambda: False))
        rows = min(rows, len(dataset) * clock.left * SMALL / (seconds * LEARNT))
    return max(FEWEST_ROWS, min(len(dataset), int(rows)))


def _subset(dataset: Dataset, strata: np.ndarray, size: int, seed: int) -> Dataset:
    """Return `size` rows in which every stratum of every part keeps its share."""
    order = np.random.default_rng(seed).permutation(len(dataset))
    kind = [f"{dataset.parts[i]}/{strata[i]}" for i in range(len(dataset))]
    total: dict[str, int] = {}
    for name in kind:
        total[name] = total.get(name, 0) + 1
    seen: dict[str, int] = {}
    place = np.zeros(len(dataset))
    for i in order.tolist():
        seen[kind[i]] = seen.get(kind[i], 0) + 1
        place[i] = (seen[kind[i]] - 0.5) / total[kind[i]]
    chosen = np.sort(np.argsort(place, kind="stable")[:size])
    note = f"the budget reached for {size:,} of {len(dataset):,} rows"
    return replace(dataset.take(chosen.tolist()), notes=(*dataset.notes, note))


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


def check_budget(options: Options) -> None:
    """Refuse options that have no meaning, before anything is read."""
    if options.max_trials is not None and options.max_trials < 1:
        raise UsageError("--max-trials must be 1 or more")
