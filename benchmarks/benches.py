"""Labelled rows on a bench, as a run of headstart has them, for what a benchmark tries on them."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np

from headstart.data.dataset import Dataset
from headstart.data.splits import Split, split, units
from headstart.features.extract import Extractor
from headstart.search.trial import Bench
from headstart.sources.catalogue import Source
from headstart.sources.families import Output
from headstart.sources.loading import load_source
from headstart.tasks import TargetSpec, Task, metric_for, task_for
from headstart.training.learners import Rows


def opened(source: Source, output: Output = "pooled") -> Extractor:
    """Return a source for tasks that take one vector of a row, or something else of it."""
    loaded = load_source(source, output)
    return Extractor(loaded.backbone, loaded.digest)


def bench_of(
    dataset: Dataset,
    extractors: Mapping[str, Extractor],
    train: Sequence[int] | np.ndarray,
    validation: Sequence[int] | np.ndarray = (),
) -> Bench:
    """Return a bench with these rows of a data set to learn from, and to choose by."""
    task, spec, rows = _labelled(dataset)
    return Bench(
        task=task,
        spec=spec,
        metric=metric_for(task, spec, None),
        train=rows.take(np.asarray(train, int)),
        validation=rows.take(np.asarray(validation, int)),
        extractors=dict(extractors),
        data=rows.data.fingerprint(),
        split="",
        seed=0,
    )


def parts(dataset: Dataset) -> Split:
    """Return which rows a run would learn from, choose by, and test on."""
    task, _, rows = _labelled(dataset)
    return split(rows.data, task.strata(rows.targets), seed=0)


def divided(dataset: Dataset, extractors: Mapping[str, Extractor]) -> tuple[Bench, Rows]:
    """Return the bench that a run would have, and the rows to test on."""
    known = parts(dataset)
    bench = bench_of(dataset, extractors, known.train, known.validation)
    return bench, bench_of(dataset, {}, known.test).train


def _labelled(dataset: Dataset) -> tuple[Task, TargetSpec, Rows]:
    task = task_for(dataset, None)
    dataset, spec = task.validate(dataset)
    return task, spec, Rows(dataset, task.encode(dataset, spec), units(dataset))
