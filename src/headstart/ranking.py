"""The ranking of sources for a data set, before anything is trained."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np

from headstart.data.columns import Roles
from headstart.data.dataset import Data
from headstart.data.reading import read
from headstart.data.splits import require_seed, units
from headstart.embedding import source_for
from headstart.errors import SourceError, UsageError
from headstart.evidence.shortlist import Candidate, Ranking, candidate
from headstart.features.extract import Extractor
from headstart.features.shared import shared_extractor
from headstart.search.reach import subset
from headstart.sources.catalogue import Source, those
from headstart.sources.families import Output
from headstart.sources.fetching import is_fetched
from headstart.tasks import metric_for, task_for
from headstart.tasks.linear import MOST
from headstart.training.learners import Rows

ROWS = 1_000
"""Rows by which sources are ranked, at most."""


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

    Where texts are to be written, sources are ranked by what they write as they are.

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
    require_seed(seed)
    if not 1 <= rows <= MOST:
        raise UsageError(f"--rows {rows}: give a number from 1 to {MOST:,}")
    dataset = read(data, Roles.of(input, label, group=group), seed=seed)
    chosen = task_for(dataset, task)
    dataset, spec = chosen.validate(dataset)
    scored = metric_for(chosen, spec, metric)
    strata = chosen.strata(chosen.encode(dataset, spec))
    dataset = dataset.take(np.sort(subset(dataset, strata, rows, seed)[:rows]).tolist())
    looked_at = Rows(dataset, chosen.encode(dataset, spec), units(dataset))
    candidates: list[Candidate] = []
    left_out: dict[str, str] = {}
    named = _sources(source, dataset.modality, left_out)
    unusable = None if source else left_out
    for known, extractor in _opened(named, chosen.output, unusable):
        candidates.append(candidate(known, extractor, looked_at, chosen, spec, scored, seed))
        say(f"{known.id}: {candidates[-1].similarity}")
    if not candidates:
        raise SourceError(
            f"no source for {dataset.modality} is on this machine: headstart sources list, then "
            "headstart sources fetch ID"
        )
    return Ranking.of(candidates, left_out, scored, len(dataset))


def _opened(
    sources: Sequence[Source], output: Output, left_out: dict[str, str] | None
) -> Iterator[tuple[Source, Extractor]]:
    """Yield sources with their extractors; while one is looked at, the next one is opened.

    What cannot be opened is noted in `left_out`, and raised where that is None.
    """
    with ThreadPoolExecutor(1) as pool:
        coming = [pool.submit(shared_extractor, source, output) for source in sources[:1]]
        for i, source in enumerate(sources):
            opening = coming.pop()
            later = sources[i + 1 : i + 2]
            coming = [pool.submit(shared_extractor, one, output) for one in later]
            try:
                extractor = opening.result()
            except SourceError as error:
                if left_out is None:
                    raise
                left_out[source.id] = str(error)
                continue
            yield source, extractor


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
