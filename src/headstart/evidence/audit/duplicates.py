"""Rows that show or say nearly the same: they must not be learnt from and tested on.

Two rows are near duplicates if they are much nearer to each other than each of them is to its tenth
neighbour, by what they look like (a sketch) or by what a source says of them. Measured against the
neighbours, one bound serves pictures that are all alike and pictures that are not.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from dataclasses import replace

import numpy as np
from scipy.sparse import coo_matrix
from scipy.sparse.csgraph import connected_components

from headstart.data.dataset import Dataset
from headstart.data.splits import straddling
from headstart.evidence.audit import Check, Examined, Finding, Severity, checks
from headstart.evidence.neighbours import Neighbours
from headstart.wording import counted

NEAR = 0.45
"""Distance, as a share of that to the tenth neighbour, up to which rows are near duplicates."""
FEWEST = 12
"""Different rows below which none has a tenth neighbour that says how near is near."""
CHANCE = 1e-3
"""Share of rows, at most, that would be so near to another by chance: in few dimensions the bound
is lower, since there the first neighbour is often much nearer than the tenth."""
DIMENSIONS = 4.0
"""Dimensions that rows fill at least where anything is said: in fewer many are alike."""
LEAST = 0.2
"""Share of the usual distance that the tenth neighbour's is taken for at least: where each row has
ten copies or more, the tenth neighbour is one of them."""


def near_duplicates(examined: Examined) -> np.ndarray:
    """Return for each row the number of its set of near duplicates, or -1.

    Exact duplicates belong to the sets of their likes, and make none alone.
    """
    found = np.full(len(examined.dataset), -1)
    distinct = examined.distinct
    if len(distinct) < FEWEST:
        return found
    pairs = [_pairs(space) for space in (examined.near, examined.alike) if space is not None]
    if not pairs:
        return found
    one, other = np.concatenate(pairs, 1)
    graph = coo_matrix((np.ones(len(one)), (one, other)), shape=[len(distinct)] * 2)
    _, set_of = connected_components(graph, directed=False)
    sizes = np.bincount(set_of)
    by_digest = {
        examined.dataset.digests[row]: number if sizes[number] > 1 else -1
        for row, number in zip(distinct.tolist(), set_of.tolist(), strict=True)
    }
    return np.array([by_digest[digest] for digest in examined.dataset.digests])


def _pairs(space: Neighbours) -> np.ndarray:
    """Return the numbers (2, pairs) of rows that are near duplicates."""
    filled = dimension(space)
    if filled < DIMENSIONS:
        return np.zeros((2, 0), np.int64)
    most = min(NEAR, (CHANCE / 9) ** (1 / filled))
    reach = np.maximum(space.distances[:, -1], LEAST * space.usual)
    scale = np.sqrt(reach[:, None] * reach[space.rows])
    one, place = np.nonzero(space.distances <= most * scale)
    return np.stack([one, space.rows[one, place]])


def dimension(space: Neighbours) -> float:
    """Return about how many dimensions the rows fill, from how fast neighbours become more.

    Levina and Bickel, Maximum Likelihood Estimation of Intrinsic Dimension, NeurIPS 2004; here by
    the fifth and the tenth neighbour of the median row, which a few duplicates do not change.
    """
    fifth, tenth = np.maximum(space.distances[:, [4, 9]], 1e-9).T
    if np.median(tenth) < 1e-6:  # most rows say the same as ten others
        return 0.0
    apart = float(np.median(np.log(tenth / fifth)))
    return sum(1 / i for i in range(5, 10)) / max(apart, 1e-9)


def sets_of(numbers: np.ndarray) -> list[np.ndarray]:
    """Return the rows of each set of several, the largest first; -1 is no set."""
    order = np.argsort(numbers, kind="stable")
    order = order[numbers[order] >= 0]
    cuts = np.flatnonzero(np.diff(numbers[order])) + 1
    sets = [rows for rows in np.split(order, cuts) if len(rows) > 1]
    return sorted(sets, key=lambda rows: -len(rows))


def _across(dataset: Dataset, sets: list[np.ndarray]) -> Iterator[Finding]:
    """Find rows of a given split that are, exactly or nearly, in another part of it, too."""
    alike = [""] * len(dataset)
    for number, found in enumerate(sets):
        for i in found.tolist():
            alike[i] = str(number)
    crossing = straddling(replace(dataset, alike=tuple(alike)))
    if crossing:
        count = counted(len(crossing), "row stands", "rows stand")
        yield Finding(
            "duplicates across the split",
            "serious",
            f"{count} in two parts of the given split: the scores would be better than deserved",
            "they are set aside where they are learnt from or chosen by, and stay in the test",
            tuple(crossing),
            tuple(crossing.values()),
        )


def duplicates(examined: Examined) -> Iterator[Finding]:
    """Find rows that are there more than once, exactly or nearly, and conflicts between them."""
    dataset = examined.dataset
    again = Counter(dataset.digests)
    exact = [i for i, digest in enumerate(dataset.digests) if again[digest] > 1]
    if exact:
        kinds = len({dataset.digests[i] for i in exact})
        yield Finding(
            "duplicates",
            "note",
            f"{len(exact):,} rows have the same content as another ({kinds:,} different)",
            "the copies of one stay on one side of every split",
            tuple(exact),
        )
    sets = sets_of(near_duplicates(examined))
    if sets:
        rows = [int(i) for found in sets for i in found]
        yield Finding(
            "near duplicates",
            "warning" if len(rows) > len(dataset) / 10 else "note",
            f"{len(rows):,} rows are nearly the same as another ({counted(len(sets), 'set')}; the "
            f"largest has {len(sets[0]):,})",
            "rows of a set stay on one side of every split",
            tuple(rows),
            tuple(
                f"like {dataset.names[found[1] if i == found[0] else found[0]]}"
                for found in sets
                for i in found
            ),
        )
    yield from _across(dataset, sets)
    same = np.unique(np.array(dataset.digests), return_inverse=True)[1]
    yield from _conflicts(examined, sets_of(same), "the same content", "warning")
    yield from _conflicts(examined, sets, "nearly the same content", "note")


def _conflicts(
    examined: Examined, sets: list[np.ndarray], what: str, severity: Severity
) -> Iterator[Finding]:
    rows, told = [], []
    for found in sets:
        apart = examined.task.differ(
            examined.targets[found[1:]], examined.targets[np.full(len(found) - 1, found[0])]
        )
        if apart.any():
            rows += found.tolist()
            told += [examined.said(i) for i in found.tolist()]
    if rows:
        yield Finding(
            "conflicting labels",
            "serious" if len(rows) > len(examined.dataset) / 20 else severity,
            f"{len(rows):,} rows have {what} as another, and different labels",
            "they are kept; look at them, since no model can be right on all of them",
            tuple(rows),
            tuple(told),
        )


checks.register("duplicates", Check(duplicates))
