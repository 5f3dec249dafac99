"""The ranking of sources for a data set, before anything is trained."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from headstart.data.columns import Roles
from headstart.data.dataset import Data, Dataset
from headstart.data.reading import read
from headstart.data.splits import units
from headstart.embedding import source_for
from headstart.errors import SourceError
from headstart.evidence.shortlist import Candidate, measured, ranked, shortlist
from headstart.evidence.similarity import similarity
from headstart.features.shared import shared_extractor
from headstart.models.heads import Readout
from headstart.report.table import table
from headstart.search.reach import subset
from headstart.sources.catalogue import Source, those
from headstart.sources.fetching import is_fetched
from headstart.tasks import Metric, TargetSpec, Task, metric_for, task_for

ROWS = 1_000
"""Rows by which sources are ranked, at most."""


@dataclass(frozen=True)
class Ranking:
    """Sources for a target, the best first.

    Attributes
    ----------
    candidates
        With what was measured of them.
    shortlist
        Those that are worth a race, each with the reason.
    left_out
        Those that were not looked at, each with the reason.
    metric
        Of the probe; its score is such that more is better.
    rows
        By which they were ranked.
    """

    candidates: tuple[Candidate, ...]
    shortlist: dict[str, str]
    left_out: dict[str, str]
    metric: str
    rows: int

    def data(self) -> dict[str, Any]:
        """Return it as JSON data."""
        return {
            "schema": 1,
            "rows": self.rows,
            "metric": self.metric,
            "sources": [candidate.data() for candidate in self.candidates],
            "shortlist": self.shortlist,
            "left_out": self.left_out,
        }

    def __str__(self) -> str:
        names = sorted({name for c in self.candidates for name in c.scores})
        head = ["source", self.metric, *names, "similarity", "rows/s", "parameters", "licence"]
        lines = [head]
        for c in self.candidates:
            mark = f"{c.source} *" if c.source in self.shortlist else c.source
            scores = [c.probe, *(c.scores.get(name) for name in names), c.similarity.score]
            said = ["?" if score is None else f"{score:.3g}" for score in scores]
            lines.append([mark, *said, f"{c.rate:.0f}", f"{c.parameters / 1e6:.1f} M", c.licence])
        told = [f"{source}: not ranked, {reason}" for source, reason in self.left_out.items()]
        chosen = [f"* {source}: {reason}" for source, reason in self.shortlist.items()]
        return "\n".join([*table(lines, right=range(1, len(head) - 1)), "", *chosen, *told])


def rank(
    data: Data,
    *,
    source: str | Sequence[str] = (),
    input: str | Sequence[str] | None = None,
    label: str | Sequence[str] | None = None,
    group: str | None = None,
    task: str | None = None,
    metric: str | None = None,
    rows: int = ROWS,
    seed: int = 0,
    say: Callable[[str], None] = lambda _message: None,
) -> Ranking:
    """Rank sources by how well their features suit labelled data; nothing is trained but heads.

    Parameters
    ----------
    data, input, label, group, task, metric
        As for `fit`.
    source
        Those to rank; if empty, all of the catalogue for the inputs that are on this machine.
    rows
        Rows to look at, at most: a stratified draw.
    say
        Receives a line for each source that is done.

    Raises
    ------
    HeadstartError
        If the data or an option cannot be used; the text says what to do.
    """
    dataset = read(data, Roles.of(input, label, group=group), seed=seed)
    chosen = task_for(dataset, task)
    dataset, spec = chosen.validate(dataset)
    scored = metric_for(chosen, spec, metric)
    strata = chosen.strata(chosen.encode(dataset, spec))
    dataset = dataset.take(np.sort(subset(dataset, strata, rows, seed)[:rows]).tolist())
    candidates: list[Candidate] = []
    left_out: dict[str, str] = {}
    for known in _sources(source, dataset.modality, left_out):
        candidates.append(_candidate(known, dataset, chosen, spec, scored, seed))
        say(f"{known.id}: {candidates[-1].similarity}")
    if not candidates:
        raise SourceError(
            f"no source for {dataset.modality} is on this machine: headstart sources list, then "
            "headstart sources fetch ID"
        )
    return Ranking(
        tuple(ranked(candidates)), shortlist(candidates), left_out, scored.name, len(dataset)
    )


def _sources(named: str | Sequence[str], modality: str, left_out: dict[str, str]) -> list[Source]:
    """Return the sources to rank; what is not on this machine is noted."""
    listed = [named] if isinstance(named, str) else list(named)
    if listed:
        return [source_for(modality, name) for name in listed]
    known = those(modality)
    left_out.update(
        {
            source.id: f"it is not on this machine (headstart sources fetch {source.id})"
            for source in known
            if not is_fetched(source)
        }
    )
    return [source for source in known if source.id not in left_out]


def _candidate(
    source: Source, dataset: Dataset, task: Task, spec: TargetSpec, metric: Metric, seed: int
) -> Candidate:
    extractor = shared_extractor(source)
    end = extractor.backbone.end
    values = extractor.extract(dataset, end)
    probe, scores = measured(
        task,
        spec,
        metric,
        probed=Readout(values, "layers"),
        features=Readout(values, "linear"),
        targets=task.encode(dataset, spec),
        units=units(dataset),
        head=extractor.backbone.head,
        seed=seed,
    )
    rates = [rate for place, rate in extractor.rates.items() if place.startswith(f"{end}@")]
    return Candidate(
        source=source.id,
        probe=probe,
        scores=scores,
        similarity=similarity(dataset, extractor, seed),
        rate=max(rates, default=source.speed),
        parameters=source.parameters,
        licence=source.licence,
    )
