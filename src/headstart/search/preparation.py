"""From DATA to a bench: read, check, choose sources, fit the rows to the budget, split, embed."""

from __future__ import annotations

import contextlib
import itertools
import math
import time
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from headstart.data.columns import Roles
from headstart.data.dataset import TOGETHER, Data, Dataset
from headstart.data.modalities import modalities
from headstart.data.readers import title
from headstart.data.reading import read
from headstart.data.splits import Split, require_seed, split, straddling, units
from headstart.data.tokenizing import MODES
from headstart.digest import digest_data
from headstart.errors import DataError, SourceError, UsageError
from headstart.evidence.shortlist import LENGTH
from headstart.features.coverage import Coverage, coverage
from headstart.features.extract import Extractor
from headstart.recipes import QUALITIES
from headstart.search.budget import Clock
from headstart.search.examining import Embedded, embed, examined, findings, tie
from headstart.search.folds import FEWEST, SHARE, UNITS, Deal, dealt
from headstart.search.folds import affordable as affordable_on
from headstart.search.listener import Listener
from headstart.search.reach import CLOSING, READING, Reach, affordable, subset
from headstart.search.shortlisting import Shortlisting, rivals_of
from headstart.search.standing import Entry, entries
from headstart.search.trial import Bench
from headstart.sources.catalogue import Source, side_by_side, those
from headstart.sources.families import Output
from headstart.sources.fetching import fetch, is_fetched
from headstart.sources.loading import load_source
from headstart.sources.opening import find_source, is_named_here
from headstart.tasks import Task, metric_for, task_for
from headstart.training.learners import Rows
from headstart.wording import counted

EVALUATIONS = ("auto", "holdout", "nested-cv")


@dataclass(frozen=True)
class Options:
    """What the user asked for; None is inferred, as `headstart fit --help` says.

    Raises
    ------
    UsageError
        If a value has no meaning.
    """

    data: Data
    roles: Roles = field(default_factory=Roles)
    task: str | None = None
    metric: str | None = None
    class_weights: str | None = None
    test: Data | None = None
    source: tuple[str, ...] = ()
    budget: float = 300.0
    max_trials: int | None = None
    seed: int = 0
    out: str | Path | None = None
    refit: bool = True
    resume: bool = False
    long: str = MODES[0]
    evaluation: str = EVALUATIONS[0]
    recipe: tuple[str, ...] = ()
    quality: str = "balanced"

    def __post_init__(self) -> None:
        if self.max_trials is not None and self.max_trials < 1:
            raise UsageError("--max-trials must be 1 or more")
        require_seed(self.seed)
        if self.long not in MODES:
            raise UsageError(f"--long {self.long} is not known; it is {', '.join(MODES)}")
        for name, known in (("evaluation", EVALUATIONS), ("quality", QUALITIES)):
            value = getattr(self, name)
            if value not in known:
                raise UsageError(f"--{name} {value} is not known; it is {', '.join(known)}")
        if self.class_weights not in (None, "balanced"):
            raise UsageError(f"--class-weights is balanced or nothing, not {self.class_weights!r}")

    def identity(self) -> dict[str, object]:
        """Return what must be the same in every session of one run, as JSON data."""
        alike = (
            "task",
            "metric",
            "class_weights",
            "long",
            "evaluation",
            "quality",
            "seed",
            "refit",
        )
        found = {name: getattr(self, name) for name in alike}
        found |= {name: list(getattr(self, name)) for name in ("source", "recipe")}
        columns = [list(pair) for pair in self.roles.named()]
        test = None if self.test is None else title(self.test)
        return {**found, "columns": columns, "test": test}


@dataclass(frozen=True)
class Prepared:
    """What the race and the closing work on.

    Attributes
    ----------
    dataset
        The rows that are used.
    test
        Not read before the race has ended.
    spare
        Rows that were looked at and left out, which the model handed back may still learn from.
    embedded
        What embedding all rows gave.
    coverage
        How much of the rows each source reads, where it may be less than all.
    findings
        What is wrong with the rows, as JSON data.
    everything
        All rows that are used.
    deal
        The folds in which they are held out in nested cross-validation; else None.
    ranking
        Of sources, as JSON data, where several were ranked.
    """

    dataset: Dataset
    bench: Bench
    test: Rows
    spare: Rows
    split: Split
    entries: list[Entry]
    embedded: Embedded
    coverage: dict[str, Coverage]
    findings: list[dict[str, Any]]
    everything: Rows
    deal: Deal | None = None
    ranking: dict[str, Any] | None = None

    def pace(self, long: str = "") -> float:
        """Return how many rows a second the slowest source embeds; infinite if none is known.

        It reads long inputs as the run asks, or as `long` says.
        """
        asked = self.bench.extractors.values()
        read = [each.reading(long) if long else each for each in asked]
        return min((each.pace(each.backbone.end) or math.inf for each in read), default=math.inf)

    @property
    def left_out(self) -> int:
        """Return how many rows are not used because of the budget, looked at or not."""
        return self.dataset.unseen + len(self.spare.data)


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
    if options.long != MODES[0]:
        _check_long(options.long, dataset.modality, task.output)
    chosen, rivals = _sources(options, dataset.modality, clock, listener)

    def opened(source: Source) -> Extractor:
        return _opened(source, task.output, options.long, clock, listener)

    extractors = {source.id: opened(source) for source in chosen}
    dataset, covered = _covered(dataset, extractors, listener)
    planned = _planned(options, task, extractors)
    everything = _rows(dataset, task.encode(dataset, spec))
    bench = Bench(
        task=task,
        spec=spec,
        metric=metric_for(task, spec, options.metric),
        train=everything,
        validation=everything,
        extractors=extractors,
        data=dataset.fingerprint(),
        split="",
        seed=options.seed,
    )
    reach.rows = reach.rows or affordable(planned, clock, bench)
    spare = everything.take(np.arange(0))
    if reach.rows < len(dataset):
        order = subset(dataset, task.strata(everything.targets), reach.rows, options.seed)
        note = f"the budget reached for {reach.rows:,} of {len(dataset):,} rows"
        spare = everything.take(order[reach.rows :])
        used = everything.take(order[: reach.rows])
        dataset = replace(used.data, notes=(*dataset.notes, note))
        everything = _rows(dataset, used.targets)
    if left_out := dataset.unseen + len(spare.data):
        listener.say(
            f"  the budget does not reach for all rows: a stratified subset of {len(dataset):,} "
            f"is used, {counted(left_out, 'row is', 'rows are')} left out "
            "(a larger --budget uses more)"
        )
    embedded = embed(dataset, bench, clock, listener)
    rows = examined(dataset, bench, embedded, everything.targets)
    tie(rows, reach)
    found = findings(rows, clock, listener)
    twice = straddling(rows.dataset)
    kept = [i for i in range(len(dataset)) if i not in twice]
    dataset = rows.dataset.without(twice)
    everything = _rows(dataset, everything.targets[kept])
    strata = task.strata(everything.targets)
    parts = split(dataset, strata, options.seed)
    reach.evaluation = reach.evaluation or _evaluation(
        options.evaluation, parts.method, everything, replace(bench, split=""), planned, clock
    )
    if nested := reach.evaluation == "nested-cv":
        parts = split(dataset, strata, options.seed, tested=False)
    if not len(parts.train) or not len(parts.validation):
        missing = "choose models by" if len(parts.train) else "learn from"
        raise DataError(
            f"{title(options.data)}: beside the rows to test on none are left to {missing}. Each "
            "class needs some more rows, and where they are grouped, more groups."
        )
    train = everything.take(parts.train)
    bench = replace(
        bench,
        spec=task.weighted(train.targets, spec) if options.class_weights else spec,
        train=train,
        validation=everything.take(parts.validation),
        split=_digest(dataset, parts),
        choosing=not nested,
    )
    listener.say(_said_of(parts))
    if (rivals or reach.ranking) and task.output in ("pooled", "text") and embedded.values:
        listed = Shortlisting(
            [*chosen, *rivals], opened, bench, embedded, everything, clock, listener
        )
        reach.ranking = listed.run(reach.ranking)
        bench, embedded = listed.bench, listed.embedded
        planned = _planned(options, task, bench.extractors)
        added = {n: e for n, e in bench.extractors.items() if n not in extractors}
        dataset, more = _covered(dataset, added, listener)
        covered |= more
    return Prepared(
        dataset=dataset,
        bench=bench,
        test=everything.take(parts.test),
        spare=spare,
        split=parts,
        entries=planned,
        embedded=embedded,
        coverage=covered,
        findings=[finding.data(rows.dataset.names) for finding in found],
        everything=everything,
        deal=dealt(everything, bench, 0) if nested else None,
        ranking=reach.ranking,
    )


def _planned(options: Options, task: Task, extractors: Mapping[str, Extractor]) -> list[Entry]:
    """Return what may be tried; where the user says how long inputs are read, only so."""
    found = entries(task, list(extractors), options.quality, options.recipe)
    return [one for one in found if not one.recipe.long or options.long == MODES[0]]


def _evaluation(
    asked: str, method: str, rows: Rows, bench: Bench, planned: list[Entry], clock: Clock
) -> str:
    """Return how the models are judged: ``nested-cv``, or as the rows were split.

    Raises
    ------
    UsageError
        If nested cross-validation is asked for where the user gives the test rows, or times.
    """
    if asked == "nested-cv" and method != "holdout":
        raise UsageError(
            "--evaluation nested-cv holds out every row in turn, which does not go together with "
            "test rows of your own, or --time"
        )
    given = any(part is not None for part in rows.data.parts)
    count = len(np.unique(rows.units))
    if asked == "holdout" or method != "holdout" or (given and asked == "auto"):
        return method
    if asked == "nested-cv":
        return asked
    if not FEWEST <= count < UNITS:
        return method
    cheap = [e for e in planned if e.recipe.stages == 0 and e.recipe.learns]
    if not cheap:  # what writes is tuned or left as it is: folds would leave no time to tune
        return method
    two, share = [(e.recipe, e.source) for e in cheap[:2]], SHARE * (clock.left - CLOSING)
    return "nested-cv" if affordable_on(dealt(rows, bench, 0), two, share) else method


def _said_of(parts: Split) -> str:
    """Return how many rows there are for what, in a line."""
    if parts.method == "nested-cv":
        count = len(parts.train) + len(parts.validation)
        return (
            f"  {count:,} rows, each held out in turn ({parts.method}): too few to set some aside"
        )
    return (
        f"  {len(parts.train):,} rows to learn from, {len(parts.validation):,} to choose by, "
        f"{len(parts.test):,} to test on ({parts.method})"
    )


def _read(options: Options, clock: Clock, reach: Reach) -> Dataset:
    dataset = read(
        options.data,
        options.roles,
        test=options.test,
        seed=options.seed,
        enough=reach.enough(time.monotonic() + clock.left * READING),
    )
    if len(dataset) > 1 and len(set(dataset.digests)) == 1:
        raise DataError(
            f"{dataset.path}: all {len(dataset):,} rows have the same input, so nothing can be "
            "learnt from it. Name the column of the input with --input COL."
        )
    return dataset.without(straddling(dataset))


def _say_what_was_read(dataset: Dataset, task: str, listener: Listener) -> None:
    listener.say(f"read {counted(len(dataset), 'row')}: {task}")
    for note in dataset.notes:
        listener.say(f"  {note}")
    if dataset.set_aside:
        listener.say(f"  {counted(len(dataset.set_aside), 'row')} set aside:")
        for aside in dataset.set_aside[:5]:
            listener.say(f"    {aside.where}: {aside.reason}")
        if len(dataset.set_aside) > 5:
            listener.say("    … all of them are in the ledger")


def _opened(
    source: Source, output: Output, long: str, clock: Clock, listener: Listener
) -> Extractor:
    """Open a source; what has to be fetched first is not part of the budget.

    Of long texts it reads what `long` says; the default leaves no trace in its keys.
    """
    if not is_fetched(source):
        with clock.paused():
            listener.say(f"{source.id} is not on this machine yet (not part of the budget)")
            fetch(source, listener.say)
    loaded = load_source(source, output)
    backbone = loaded.backbone
    if long != MODES[0]:
        settings = dict(backbone.preprocessing.settings)
        if "text" in settings:  # a text beside a picture
            settings["text"] = {**settings["text"], "long": long}
        else:
            settings["long"] = long
        backbone.preprocessing = replace(backbone.preprocessing, settings=settings)
    return Extractor(backbone, loaded.digest)


def _check_long(long: str, modality: str, output: Output) -> None:
    """Raise `UsageError` where no input is read in this way, or there is no mean over chunks."""
    kinds = [modalities.get(kind) for kind in modality.split(TOGETHER)]
    if not any(long in kind.long for kind in kinds):
        raise UsageError(f"--long {long} is not for {modalities.get(modality).noun}s")
    if long == "chunks" and (output != "pooled" or len(kinds) > 1):
        raise UsageError(
            "--long chunks is for tasks that take one vector of one input alone; --long head-tail "
            "is for all texts"
        )


def _covered(
    dataset: Dataset, extractors: dict[str, Extractor], listener: Listener
) -> tuple[Dataset, dict[str, Coverage]]:
    """Measure and say how much of the rows each source reads; what is said joins the notes."""
    covered: dict[str, Coverage] = {}
    notes: list[str] = []
    for name, extractor in extractors.items():
        found = coverage(dataset, extractor.backbone.preprocessing)
        if found is not None:
            covered[name] = found
            notes += found.notes(name)
    for note in notes:
        listener.say(f"  {note}")
    return replace(dataset, notes=(*dataset.notes, *notes)), covered


def _sources(
    options: Options, modality: str, clock: Clock, listener: Listener
) -> tuple[list[Source], list[Source]]:
    """Return the sources to try, and those that may take their place once they are ranked.

    They are those asked for, or the modality's default ones and what else is on this machine. For
    rows of several inputs it is every source of the one beside every source of the other.
    """
    kinds = modality.split(TOGETHER)
    asked = [_asked(name, kinds, clock, listener) for name in options.source]
    found = []
    for kind in kinds:
        fitting = [source for source in asked if source.modality == kind]
        found.append(fitting or [source for source in those(kind) if source.default])
    if len(kinds) > 1:
        return [side_by_side(*one) for one in itertools.product(*found)], []
    if not asked:
        return found[0], rivals_of(found[0], modality)
    return (asked, []) if len(asked) <= LENGTH else (asked[:1], asked[1:])


def _asked(name: str, kinds: list[str], clock: Clock, listener: Listener) -> Source:
    """Return a source that the user named; raise `SourceError` if it is for other inputs.

    What has to be fetched for that is not part of the budget.
    """
    for kind in kinds:
        with contextlib.nullcontext() if is_named_here(name) else clock.paused():
            source = find_source(name, kind, listener.say)
        if source.modality == kind:
            return source
    fitting = [source.id for kind in kinds for source in those(kind)]
    raise SourceError(
        f"{source.id} is for {source.modality} inputs, but these are {TOGETHER.join(kinds)}. "
        f"For {' or '.join(kinds)}: {', '.join(fitting)}."
    )


def _rows(dataset: Dataset, targets: np.ndarray) -> Rows:
    return Rows(dataset, targets, units(dataset))


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
