"""The shortlist of a run: which of several sources are worth a race, by the rows to learn from.

They are ranked by some of these rows, within a share of the time. Through those that are kept all
rows are embedded.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

from headstart.errors import SourceError
from headstart.evidence.shortlist import TOO_SLOW, Candidate, Ranking, affordable, candidate
from headstart.features.extract import Extractor, OutOfTime
from headstart.features.values import Values
from headstart.search.budget import Clock
from headstart.search.examining import Embedded
from headstart.search.listener import Listener
from headstart.search.reach import subset
from headstart.search.trial import Bench
from headstart.sources.catalogue import Source, those
from headstart.sources.fetching import is_fetched
from headstart.training.learners import Rows
from headstart.wording import counted

ROWS = 500
"""Rows by which sources are ranked, at most."""
SHARE = 0.1
"""Share of the time left in which they are ranked, at most."""
EMBEDDING = 0.1
"""Share of the time left that embedding all rows through one more source may take."""
LEADING = 0.3
"""The same, for the source that suits best."""
OPENING = 4.0
"""Seconds that it takes to load a source and to convert it to an engine."""


def rivals_of(defaults: Sequence[Source], modality: str) -> list[Source]:
    """Return the sources of the catalogue that are on this machine, besides the default ones."""
    known = {source.id for source in defaults}
    return [s for s in those(modality) if s.id not in known and s.speed and is_fetched(s)]


@dataclass
class Shortlisting:
    """Ranks sources and embeds all rows by those that are kept.

    Attributes
    ----------
    sources
        Those of the bench, and all others.
    opened
        Opens a source.
    bench, embedded
        With the first sources at the beginning, with those that are kept in the end.
    everything
        Rows to embed.
    """

    sources: Sequence[Source]
    opened: Callable[[Source], Extractor]
    bench: Bench
    embedded: Embedded
    everything: Rows
    clock: Clock
    listener: Listener
    extractors: dict[str, Extractor] = field(init=False)

    def __post_init__(self) -> None:
        self.extractors = dict(self.bench.extractors)

    def run(self, known: dict[str, Any] | None) -> dict[str, Any]:
        """Return the ranking as JSON data; `known` is that of an earlier session.

        The bench then has the sources of the shortlist, in order.
        """
        started, left = self.clock.used, self.clock.left
        ranking = self._ranked().data() if known is None else known
        values = dict(self.embedded.values)
        for place, name in enumerate(list(ranking["shortlist"])):
            if name in values:
                continue
            try:
                values[name] = self._embedded(name, left * (EMBEDDING if place else LEADING))
            except OutOfTime:
                ranking["left_out"][name] = "no time to embed all rows"
            except SourceError as error:  # one that an earlier session had
                ranking["left_out"][name] = str(error)
        for name in ranking["left_out"]:
            ranking["shortlist"].pop(name, None)
        if not ranking["shortlist"]:
            ranking["shortlist"] = dict.fromkeys(values, "has embedded all rows already")
        kept = {name: self.extractors[name] for name in ranking["shortlist"]}
        self.listener.say(f"  worth a race: {', '.join(kept)}")
        self.bench = replace(self.bench, extractors=kept)
        seconds = self.embedded.seconds + self.clock.used - started
        self.embedded = Embedded(values, seconds)
        return ranking

    def _ranked(self) -> Ranking:
        """Rank as many sources as there is time for, the fastest first."""
        end = (1 - SHARE) * self.clock.left
        bench = self.bench
        count = min(ROWS, len(bench.train.data))
        strata = bench.task.strata(bench.train.targets)
        some = bench.train.take(subset(bench.train.data, strata, count, bench.seed)[:count])
        found: list[Candidate] = []
        fast = affordable({source.id: source.speed for source in self.sources})
        asked = [s for s in self.sources if s.id in fast or s.id in self.extractors]
        left_out = {s.id: TOO_SLOW for s in self.sources if s not in asked}
        for source in sorted(asked, key=lambda s: (s.id not in self.extractors, -s.speed)):
            try:
                found.append(self._looked_at(source, some, end))
            except OutOfTime:
                left_out[source.id] = "no time to rank it"
            except SourceError as error:
                left_out[source.id] = str(error)
        ranking = Ranking.of(found, left_out, bench.metric, count)
        self.listener.say(
            f"ranked {counted(len(found), 'source')} by {count:,} rows: "
            + ", ".join(f"{c.source} {ranking.score(c)}" for c in ranking.candidates)
        )
        return ranking

    def _looked_at(self, source: Source, some: Rows, end: float) -> Candidate:
        """Return what is measured of a source before `end` seconds are left."""
        known, bench = source.id in self.extractors, self.bench
        reading = len(some.data) / source.speed if source.speed else 0.0
        if not known and self.clock.left - OPENING - reading < end:
            raise OutOfTime
        if not known:
            self.extractors[source.id] = self.opened(source)
        return candidate(
            source,
            self.extractors[source.id],
            some,
            bench.task,
            bench.spec,
            bench.metric,
            bench.seed,
            late=lambda: self.clock.left < end,
        )

    def _embedded(self, name: str, seconds: float) -> Values:
        """Return the values of all rows; raise `OutOfTime` if they would take longer."""
        if name not in self.extractors:
            source = next((s for s in self.sources if s.id == name), None)
            if source is None:
                raise SourceError("it is not on this machine any more")
            self.extractors[name] = self.opened(source)
        extractor, data = self.extractors[name], self.everything.data
        end = extractor.backbone.end
        if extractor.forecast(data, end) > seconds:
            raise OutOfTime
        until = self.clock.left - 2 * seconds
        return extractor.extract(data, end, late=lambda: self.clock.left < until)
