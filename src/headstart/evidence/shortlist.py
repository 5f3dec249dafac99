"""The ranking of sources for a target, and the shortlist of those that are worth a race."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from headstart.evidence.intervals import figure
from headstart.evidence.similarity import Similarity, similarity
from headstart.evidence.transferability import Suit, answers_of, transferability
from headstart.features.extract import Extractor
from headstart.models.heads import Readout
from headstart.sources.catalogue import Source
from headstart.table import table
from headstart.tasks import Metric, TargetSpec, Task
from headstart.tasks.matrix import Matrix
from headstart.tasks.ridge import held_out
from headstart.training.learners import Rows, drawn
from headstart.training.learners.zero_shot import as_it_is

LENGTH = 3
"""Sources of a shortlist."""
AFFORDABLE = 0.1
"""How fast a source must be beside the median one."""
TOO_SLOW = "it is more than ten times slower than most others"
WRITTEN = 32
"""Rows that a source writes as it is, at most, where it is to write."""
BEST = "among the best on these rows"
LARGEST = "the largest"


@dataclass(frozen=True)
class Candidate:
    """A source, with what was measured of it on the target's rows.

    Attributes
    ----------
    source
        Its id.
    probe
        Cross-validated score of a linear head on its features, such that more is better; where
        texts are written the score of what it writes as it is. None if it writes nothing.
    scores
        By name; None where one cannot be said.
    similarity
        How like the rows are to its own.
    rate
        Rows a second through its frozen layers on this machine.
    parameters
        Of its backbone.
    """

    source: str
    probe: float | None
    scores: dict[str, float | None]
    similarity: Similarity
    rate: float
    parameters: int
    licence: str = ""

    def data(self) -> dict[str, Any]:
        """Return it as JSON data."""
        return {**vars(self), "similarity": self.similarity.data()}


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
        Of the probe.
    rows
        By which they were ranked.
    """

    candidates: tuple[Candidate, ...]
    shortlist: dict[str, str]
    left_out: dict[str, str]
    metric: Metric
    rows: int

    @classmethod
    def of(
        cls, candidates: Sequence[Candidate], left_out: dict[str, str], metric: Metric, rows: int
    ) -> Ranking:
        """Return candidates in order, with the shortlist of them."""
        order = tuple(ranked(candidates))
        return cls(order, shortlist(order), left_out, metric, rows)

    def score(self, candidate: Candidate) -> str:
        """Return a candidate's probe in words: the metric's own value, or a question mark."""
        probe = candidate.probe
        return "?" if probe is None else figure(self.metric.signed(probe))

    def data(self) -> dict[str, Any]:
        """Return it as JSON data."""
        return {
            "schema": 1,
            "rows": self.rows,
            "metric": self.metric.name,
            "sources": [candidate.data() for candidate in self.candidates],
            "shortlist": self.shortlist,
            "left_out": self.left_out,
        }

    def __str__(self) -> str:
        names = sorted({name for c in self.candidates for name in c.scores})
        head = ["source", self.metric.name, *names, "similarity", "rows/s", "parameters", "licence"]
        lines = [head]
        for c in self.candidates:
            mark = f"{c.source} *" if c.source in self.shortlist else c.source
            scores = [*(c.scores.get(name) for name in names), c.similarity.score]
            said = ["?" if score is None else f"{score:.3g}" for score in scores]
            lines.append(
                [
                    mark,
                    self.score(c),
                    *said,
                    f"{c.rate:.0f}",
                    f"{c.parameters / 1e6:.1f} M",
                    c.licence,
                ]
            )
        told = [f"{source}: not ranked, {reason}" for source, reason in self.left_out.items()]
        chosen = [f"* {source}: {reason}" for source, reason in self.shortlist.items()]
        return "\n".join([*table(lines, right=range(1, len(head) - 1)), "", *chosen, *told])


def candidate(
    source: Source,
    extractor: Extractor,
    rows: Rows,
    task: Task,
    spec: TargetSpec,
    metric: Metric,
    seed: int = 0,
    late: Callable[[], bool] = lambda: False,
) -> Candidate:
    """Return what a source's features of labelled rows say of it, or what it writes of some.

    Raises
    ------
    OutOfTime
        If `late` says that time is over before they are computed.
    """
    end = extractor.backbone.end
    scores: dict[str, float | None] = {}
    if task.output == "text":
        probe = _written(extractor, rows, task, spec, metric, seed, late)
    else:
        values = extractor.extract(rows.data, end, late=late)
        probe, scores = measured(
            task,
            spec,
            metric,
            probed=Readout(values, "layers"),
            features=Readout(values, "linear"),
            targets=rows.targets,
            units=rows.units,
            head=extractor.backbone.head,
            seed=seed,
        )
    return Candidate(
        source=source.id,
        probe=probe,
        scores=scores,
        similarity=similarity(rows.data, extractor, seed),
        rate=extractor.pace(end) or source.speed,
        parameters=source.parameters,
        licence=source.licence,
    )


def _written(
    extractor: Extractor,
    rows: Rows,
    task: Task,
    spec: TargetSpec,
    metric: Metric,
    seed: int,
    late: Callable[[], bool],
) -> float | None:
    """Return the score of what a source writes of some rows as it is; None if it writes nothing."""
    if extractor.backbone.writer is None:
        return None
    some = rows.take(drawn(len(rows.data), WRITTEN, seed))
    model = as_it_is(extractor, some, task, spec, late)
    return metric.signed(metric.score(model.outputs(some.data), some.targets))


def measured(
    task: Task,
    spec: TargetSpec,
    metric: Metric,
    probed: Matrix,
    features: Matrix,
    targets: np.ndarray,
    units: np.ndarray,
    head: tuple[Tensor, Tensor] | None = None,
    seed: int = 0,
) -> tuple[float | None, dict[str, float | None]]:
    """Return the cross-validated score of a probe, and every transferability score.

    Parameters
    ----------
    probed
        (n, p) what the probe reads of the source.
    features
        (n, d) the source's last features.
    head
        Weights (c, d) and biases (c,) of the source's own head on these.
    """
    answers = answers_of(targets)
    said = held_out(probed, answers, units, seed)
    probe = None
    if said is not None:
        outputs = torch.from_numpy(said)
        if answers.shape[1] > 1 and targets.ndim > 1 and "classes" in spec:
            outputs = outputs - 0.5  # of labels, those above zero are said
        probe = metric.signed(metric.score(outputs, targets))
    rows = features.take(np.arange(features.shape[0]))
    suit = Suit(
        features=rows.astype(np.float64) - rows.mean(0, dtype=np.float64),
        answers=answers,
        strata=task.strata(targets),
        units=units,
        head=None if head is None else _said(head, torch.from_numpy(rows)),
    )
    names = transferability.names()
    return probe, {name: transferability.get(name)(suit) for name in names}


def _said(head: tuple[Tensor, Tensor], rows: Tensor) -> np.ndarray:
    """Return the probabilities (n, c) of the source's own classes."""
    weight, bias = (part.double() for part in head)
    return (rows.double() @ weight.T + bias).softmax(1).numpy()


def ranked(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Return candidates, the best first: by their probes, of equal ones the faster first."""
    lowest = -np.inf
    return sorted(
        candidates,
        key=lambda c: (-(lowest if c.probe is None else c.probe), -c.rate, c.source),
    )


def affordable(rates: Mapping[str, float]) -> set[str]:
    """Return the sources that are not much slower than most, by rows a second; 0 is not known."""
    slowest = AFFORDABLE * float(np.median([rate for rate in rates.values() if rate] or [0.0]))
    return {source for source, rate in rates.items() if not rate or rate >= slowest}


def shortlist(candidates: Sequence[Candidate], length: int = LENGTH) -> dict[str, str]:
    """Return the sources that are worth a race, the best first, each with the reason.

    One place is kept for the largest: what a large network can be tuned to, its features do not
    tell. It has to be affordable: one that is much slower than most would use up the time of all.
    Those of which nothing could be said are left out if there are others.
    """
    order = ranked(candidates)
    order = [c for c in order if c.probe is not None] or order
    if not order:
        return {}
    fast = affordable({c.source: c.rate for c in order})
    largest = max((c for c in order if c.source in fast), key=lambda c: c.parameters)
    chosen = {c.source: BEST for c in order[:length]}
    if largest.source not in chosen:
        chosen.popitem()
        chosen[largest.source] = LARGEST
    return chosen
