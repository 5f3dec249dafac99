"""Embedding all rows once, and the audit of them, before they are split."""

from __future__ import annotations

import contextlib
import time
from dataclasses import dataclass, replace

import numpy as np

from headstart.data.dataset import Dataset
from headstart.evidence.audit import Examined, Finding, audit
from headstart.evidence.audit.duplicates import near_duplicates
from headstart.features.extract import Extractor, OutOfTime
from headstart.features.values import Values
from headstart.models.heads import Readout
from headstart.search.budget import Clock
from headstart.search.listener import Listener
from headstart.search.reach import Reach
from headstart.search.trial import Bench

EMBEDDED = 0.7
"""Share of the budget in which rows are embedded, at most."""
AUDITING = 0.05
"""Share of the time left that the checks may take, besides that for duplicates."""


@dataclass(frozen=True)
class Embedded:
    """What embedding gave: the values of each source that was done in time, and the seconds."""

    values: dict[str, Values]
    seconds: float

    def features(self, bench: Bench) -> Readout | None:
        """Return the first source's features, where there is one vector for each row."""
        first = next(iter(self.values.values()), None)
        if first is None or bench.task.output != "pooled":
            return None
        return Readout(first, "linear")


def embed(dataset: Dataset, bench: Bench, clock: Clock, listener: Listener) -> Embedded:
    """Compute the features of all rows, those of the test with them: of these no label is read.

    Where time is short it stops, and the trials that need the features go on or say so.
    """
    started = time.monotonic()
    values: dict[str, Values] = {}
    for name, extractor in bench.extractors.items():
        with contextlib.suppress(OutOfTime):
            values[name] = _extracted(dataset, extractor, clock)
        for chosen in extractor.chosen.values():
            listener.say(f"  {name}: frozen layers run in {chosen.name} ({chosen.precision})")
            for reason in chosen.refused:
                listener.say(f"    not in {reason}")
    return Embedded(values, time.monotonic() - started)


def _extracted(dataset: Dataset, extractor: Extractor, clock: Clock) -> Values:
    return extractor.extract(
        dataset,
        extractor.backbone.end,
        late=lambda: clock.left < (1 - EMBEDDED) * clock.budget,
    )


def examined(dataset: Dataset, bench: Bench, embedded: Embedded, targets: np.ndarray) -> Examined:
    """Return the rows as the checks look at them."""
    return Examined(
        dataset=dataset,
        task=bench.task,
        spec=bench.spec,
        targets=targets,
        features=embedded.features(bench),
        seed=bench.seed,
    )


def tie(rows: Examined, reach: Reach) -> None:
    """Let the rows know their near duplicates: those that an earlier session found, if any."""
    dataset = rows.dataset
    if reach.alike is None:
        found = near_duplicates(rows).tolist()
        numbered = zip(dataset.digests, found, strict=True)
        reach.alike = {digest: str(number) for digest, number in numbered if number >= 0}
    sets = tuple(reach.alike.get(digest, "") for digest in dataset.digests)
    if any(sets):
        rows.dataset = replace(dataset, alike=sets)


def findings(rows: Examined, clock: Clock, listener: Listener) -> list[Finding]:
    """Return what is wrong with the rows, as far as there is time to look, and say it."""
    found, left_out = audit(rows, AUDITING * max(0.0, clock.left))
    for finding in found:
        listener.say(f"  {finding.severity}: {finding.says}")
    if left_out:
        listener.say(
            f"  not looked at for lack of time: {', '.join(left_out)} (headstart audit does)"
        )
    return found
