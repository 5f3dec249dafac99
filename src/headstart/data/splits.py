"""Splits without leaks: stratified, seeded, and with groups and duplicates on one side."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from headstart.data.dataset import Dataset
from headstart.errors import DataError, UsageError
from headstart.wording import counted

FOLDS = 10
NESTED_FOLDS = 5
TEST_FOLDS = (1, 6, 4)
VALIDATION_FOLDS = (3, 8)
"""Rows are dealt into ten folds: `shares` says how many of them test and validation rows take.

The folds of training lie between those two kinds, so that a stratum of three rows, which is dealt
to three folds in turn, has one to learn from.
"""


def require_seed(seed: int) -> None:
    """Raise `UsageError` for a seed that no generator of random numbers takes."""
    if seed < 0:
        raise UsageError("--seed must be 0 or more")


def shares(rows: int) -> tuple[int, int]:
    """Return how many folds of ten are test rows, and how many validation rows.

    Few rows give a wide interval, so small data give more of them to the test; the model that is
    handed back is fitted again on all rows, so it loses nothing by that.
    """
    if rows < 2_000:
        return 3, 2
    return (2, 2) if rows < 5_000 else (2, 1)


@dataclass(frozen=True)
class Split:
    """Row numbers of each part; no unit (group, or set of duplicates) is in two of them."""

    train: np.ndarray
    validation: np.ndarray
    test: np.ndarray
    method: str
    """``holdout``, ``time`` where it is the newest rows that are held out, ``given`` where the test
    rows are the user's own, or ``nested-cv`` where there are none: each row is held out in turn."""


def units(dataset: Dataset) -> np.ndarray:
    """Return for each row the number of its unit: rows tied by group or by (nearly) equal content.

    A row whose group is an empty string belongs to none.
    Ties are transitive: two groups that share one duplicate are one unit.
    """
    parent = list(range(len(dataset)))

    def root(i: int) -> int:
        while parent[i] != i:
            parent[i] = parent[parent[i]]
            i = parent[i]
        return i

    ties: list[Sequence[str]] = [dataset.digests]
    ties += [keys for keys in (dataset.groups, dataset.alike) if keys is not None]
    for keys in ties:
        first: dict[str, int] = {}
        for i, key in enumerate(keys):
            if key:
                parent[root(i)] = root(first.setdefault(key, i))
    return np.array([root(i) for i in range(len(dataset))])


def deal(strata: np.ndarray, units: np.ndarray, order: np.ndarray, folds: int) -> np.ndarray:
    """Deal rows into `folds` folds, each stratum evenly, units whole. Return (n,) fold numbers.

    Units are dealt in turn, stratum after stratum, always to the fold that has fewest rows of the
    stratum and then fewest rows; the largest units first where units have several rows.

    Parameters
    ----------
    strata
        (n,) stratum of each row, such as its class.
    units
        (n,) unit of each row.
    order
        (n,) a seeded permutation of the rows, in which ties are broken.
    """
    size = Counter(units.tolist())
    members: dict[int, list[int]] = {}
    for row in order.tolist():
        members.setdefault(int(units[row]), []).append(row)
    names, found = np.unique(strata, return_inverse=True)
    codes = found.tolist()
    have = [[0] * folds for _ in names]
    total = [0] * folds
    fold_of = [0] * len(codes)
    common = {
        u: Counter(codes[r] for r in rows).most_common(1)[0][0] for u, rows in members.items()
    }
    for unit in sorted(members, key=lambda u: (-size[u], common[u])):
        counts = have[common[unit]]
        fold = min(range(folds), key=lambda f: (counts[f], total[f]))
        for row in members[unit]:
            fold_of[row] = fold
            have[codes[row]][fold] += 1
            total[fold] += 1
    return np.array(fold_of, np.int64)


def split(dataset: Dataset, strata: np.ndarray, seed: int, tested: bool = True) -> Split:
    """Split a data set into training, validation and test rows in the `shares` of their number.

    Without `tested` no test rows are drawn.

    Given test or validation rows are respected, and only what is missing is drawn from the
    training rows. The result depends on the rows' content and the seed, not on their order, names
    or container. Strata with fewer than three units stay in training, where they can be learnt from
    though not measured, and so do all rows of these units.
    """
    unit_of = units(dataset)
    order = _order(dataset, strata, seed)
    given = np.array([part or "" for part in dataset.parts])
    has_test, has_validation = bool((given == "test").any()), bool((given == "validation").any())
    free = np.flatnonzero((given != "test") & (given != "validation"))
    if dataset.times is not None:
        return _by_time(np.array(dataset.times), unit_of, free, given)
    fold = np.full(len(dataset), FOLDS)
    position = {row: i for i, row in enumerate(free.tolist())}
    inner = np.array([position[row] for row in order.tolist() if row in position])
    fold[free] = deal(strata[free], unit_of[free], inner, FOLDS)
    fold[_rare(strata, unit_of, free)] = FOLDS
    held, chosen_by = shares(len(free))
    test = given == "test" if has_test else np.isin(fold, TEST_FOLDS[: held if tested else 0])
    validation = (
        given == "validation" if has_validation else np.isin(fold, VALIDATION_FOLDS[:chosen_by])
    )
    unlearnt = ~np.isin(strata, strata[~test & ~validation]) & (fold < FOLDS)
    unlearnt = np.isin(unit_of, unit_of[unlearnt]) & (fold < FOLDS)
    test, validation = test & ~unlearnt, validation & ~unlearnt
    rest = ~test & ~validation
    return Split(
        train=np.flatnonzero(rest),
        validation=np.flatnonzero(validation & ~test),
        test=np.flatnonzero(test),
        method="given" if has_test else "holdout" if tested else "nested-cv",
    )


def stratified_order(strata: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Return an order of the rows in which every stratum has its share up to any place."""
    order = random.permutation(len(strata))
    _, codes = np.unique(strata, return_inverse=True)
    total, seen = np.bincount(codes), np.zeros(codes.max() + 1)
    place = np.zeros(len(strata))
    for i in order.tolist():
        seen[codes[i]] += 1
        place[i] = (seen[codes[i]] - 0.5) / total[codes[i]]
    # ties are broken by lot, else the first rows would always be the small ones
    found: np.ndarray = order[np.argsort(place[order], kind="stable")]
    return found


def nested_folds(dataset: Dataset, strata: np.ndarray, seed: int, repeat: int = 0) -> np.ndarray:
    """Return the fold in which each row is held out, once; -1 where it never is.

    These are the rows of strata with fewer than three units. As a split, it depends on the rows'
    content, the seed, and which `repeat` it is.
    """
    unit_of = units(dataset)
    order = _order(dataset, strata, [seed, repeat, NESTED_FOLDS])
    fold = deal(strata, unit_of, order, NESTED_FOLDS)
    fold[_rare(strata, unit_of, np.arange(len(dataset)))] = -1
    return fold


def _order(dataset: Dataset, strata: np.ndarray, seed: int | list[int]) -> np.ndarray:
    """Return the rows in a seeded order that depends on their content alone."""
    canonical = sorted(range(len(dataset)), key=lambda i: (dataset.digests[i], str(strata[i])))
    order: np.ndarray = np.array(canonical)[np.random.default_rng(seed).permutation(len(dataset))]
    return order


def _by_time(times: np.ndarray, unit_of: np.ndarray, free: np.ndarray, given: np.ndarray) -> Split:
    """Return the split in which no free row that is learnt from is newer than one tested on."""
    if not len(free):
        raise DataError("no rows are left to learn from: all are test rows, or nearly the same")
    newest: dict[int, float] = {}
    for unit, time in zip(unit_of.tolist(), times.tolist(), strict=True):
        newest[unit] = max(time, newest.get(unit, time))
    tested, chosen_by = shares(len(free))
    has_test, has_validation = bool((given == "test").any()), bool((given == "validation").any())
    when = np.array([newest[unit] for unit in unit_of[free].tolist()])
    ordered = np.sort(when)
    # rows of one time stay together, on the newer side
    test_from = ordered[len(free) - max(1, len(free) * tested // FOLDS)]
    test = np.zeros(len(free), bool) if has_test else when >= test_from
    rest = ordered[: len(free) - int(test.sum())]
    validation = np.zeros(len(free), bool)
    if not has_validation and len(rest):
        held = max(1, len(free) * chosen_by // FOLDS)
        validation = (when >= rest[max(0, len(rest) - held)]) & ~test
    train = free[~test & ~validation]
    if not len(train):
        raise DataError(
            f"the rows have only {counted(len(np.unique(when)), 'different time')}, too few to "
            "learn from older rows and test on newer ones. Leave out --time, or give more rows."
        )
    return Split(
        train=train,
        validation=np.flatnonzero(given == "validation") if has_validation else free[validation],
        test=np.flatnonzero(given == "test") if has_test else free[test],
        method="given" if has_test else "time",
    )


def _rare(strata: np.ndarray, unit_of: np.ndarray, rows: np.ndarray) -> np.ndarray:
    """Return those of `rows` whose unit has a row of a stratum with fewer than three units."""
    distinct: dict[object, set[int]] = {}
    for row in rows.tolist():
        distinct.setdefault(strata[row], set()).add(int(unit_of[row]))
    few = [unit for found in distinct.values() if len(found) < 3 for unit in found]
    return rows[np.isin(unit_of[rows], few)]


def straddling(dataset: Dataset) -> dict[int, str]:
    """Return the rows to set aside because a given split holds their content or group twice.

    A training or validation row that is also a test row would let the test be known beforehand; a
    training row that is also a validation row would spoil the choice of model.
    """
    unit_of = units(dataset)
    rank = {"test": 2, "validation": 1, "train": 0, None: 0}
    highest: dict[int, int] = {}
    for i, unit in enumerate(unit_of.tolist()):
        if rank[dataset.parts[i]] >= rank[dataset.parts[highest.setdefault(unit, i)]]:
            highest[unit] = i
    return {
        i: f"of the same group as, or the same or nearly the same as, {dataset.names[highest[u]]} "
        f"in the given {dataset.parts[highest[u]]} rows"
        for i, u in enumerate(unit_of.tolist())
        if rank[dataset.parts[i]] < rank[dataset.parts[highest[u]]]
    }
