"""Leaks: what has nothing to do with the question and still tells the answer.

A file's size, name or format, the length of a text or its first word: each is asked alone. Where it
tells a class from the others, a model may learn that in place of what was meant, and its scores
will not last.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from headstart.data.modalities import Trait, modalities
from headstart.data.splits import deal
from headstart.evidence.audit import Check, Examined, Finding, Severity, checks
from headstart.evidence.intervals import wilson

TELLS = 0.8
"""Youden's index (sensitivity + specificity - 1) from which on a trait tells a class."""
SURELY = 0.6
"""What the index is at least, by the ends of the intervals of both shares."""
HALF, PURE = 0.5, 0.85
"""Or: it tells half of a class, and of what it takes for it nearly all is (this share at least, by
the lower end of the interval). A value that gives a class away is as pure."""
USUAL = 0.6
"""Share of all rows, at most, of a class that a value can give away."""
SHARE = 0.1
"""Share of the rows of a class, at least, that such a value has."""
FEWEST = 20
"""Rows of a class, or of a value, below which nothing is said of it."""
MOST = 4_000
"""Rows that are looked at, at most."""
FOLDS = 5


@dataclass(frozen=True)
class _Told:
    """How well a trait tells one stratum from the others."""

    stratum: object
    index: float
    surely: float
    half: bool

    @property
    def leaks(self) -> bool:
        """Say whether it does: by both shares, or surely for half of the rows."""
        return self.half or (self.index >= TELLS and self.surely >= SURELY)


def leaks(examined: Examined) -> Iterator[Finding]:
    """Find traits that tell a class, or one of their values that does."""
    rows = np.arange(len(examined.dataset))
    if len(rows) > MOST:
        rows = np.sort(np.random.default_rng(examined.seed).permutation(rows)[:MOST])
    strata = examined.strata[rows]
    if len(np.unique(strata)) < 2:
        return
    dataset = examined.dataset.take(rows.tolist())
    traits = [*modalities.get(dataset.modality).traits(dataset.inputs), *_of_names(examined, rows)]
    order = np.random.default_rng([examined.seed, 8]).permutation(len(rows))
    fold_of = deal(strata, examined.units[rows], order, FOLDS)
    for trait in traits:
        if len(set(trait.values)) > 1:
            yield from _told_by(trait, strata, fold_of, examined, rows)


def _told_by(
    trait: Trait, strata: np.ndarray, fold_of: np.ndarray, examined: Examined, rows: np.ndarray
) -> Iterator[Finding]:
    guesses = _guesses(trait, strata, fold_of)
    told = [t for s in np.unique(strata) if (t := _index(s, strata, guesses)) is not None]
    sure = [t for t in told if t.leaks]
    does = (
        "nothing is changed: scores will be too good if new rows are not so; make rows of all "
        "classes alike in this, and fit again"
        if trait.seen
        else "models do not see it; ask how the rows were collected, and if they differ in more"
    )
    severity: Severity = "serious" if trait.seen else "note"
    if sure:
        best = max(sure, key=lambda t: t.index)
        which = (
            "every class" if len(sure) == len(np.unique(strata)) else f"{len(sure)} of the classes"
        )
        example = examined.said(int(rows[np.flatnonzero(strata == best.stratum)[0]]))
        yield Finding(
            "leaks",
            severity,
            f"the {trait.name} alone tells {which} from the others (best {example!r}: "
            f"{best.index:.2f} of 1)",
            does,
        )
    elif isinstance(trait.values[0], str):
        for value, stratum, count, pure in _giveaways(trait, strata):
            where = np.flatnonzero([v == value for v in trait.values])
            example = examined.said(int(rows[np.flatnonzero(strata == stratum)[0]]))
            yield Finding(
                "leaks",
                severity,
                f"of {count:,} rows whose {trait.name} is {value!r}, {pure:.0%} are {example!r}",
                does,
                tuple(rows[where].tolist()),
            )


def _guesses(trait: Trait, strata: np.ndarray, fold_of: np.ndarray) -> np.ndarray:
    """Return for each row what the other folds say of its trait."""
    from sklearn.tree import DecisionTreeClassifier

    guesses = np.empty_like(strata)
    kinds = len(np.unique(strata))
    for fold in range(FOLDS):
        learnt, held = np.flatnonzero(fold_of != fold), np.flatnonzero(fold_of == fold)
        if not len(learnt) or not len(held):
            continue
        if isinstance(trait.values[0], str):
            guesses[held] = _looked_up(trait, strata, learnt, held)
            continue
        values = np.nan_to_num(np.array(trait.values, np.float64))[:, None]
        tree = DecisionTreeClassifier(
            max_leaf_nodes=max(8, 2 * kinds), min_samples_leaf=3, class_weight="balanced"
        )
        guesses[held] = tree.fit(values[learnt], strata[learnt]).predict(values[held])
    return guesses


def _looked_up(
    trait: Trait, strata: np.ndarray, learnt: np.ndarray, held: np.ndarray
) -> np.ndarray:
    """Return the usual stratum of each row's value; of a value not seen, of all rows."""
    by_value: dict[object, Counter[object]] = {}
    for i in learnt.tolist():
        by_value.setdefault(trait.values[i], Counter())[strata[i]] += 1
    usual = Counter(strata[learnt].tolist()).most_common(1)[0][0]
    best = {value: counts.most_common(1)[0][0] for value, counts in by_value.items()}
    return np.array([best.get(trait.values[i], usual) for i in held.tolist()])


def _index(stratum: object, strata: np.ndarray, guesses: np.ndarray) -> _Told | None:
    """Return how well guesses tell a stratum; None where it has too few rows, or all."""
    own = strata == stratum
    if own.sum() < FEWEST or (~own).sum() < FEWEST:
        return None
    said = guesses == stratum
    found = wilson(float((said & own).sum()), int(own.sum()))
    false = wilson(float((said & ~own).sum()), int((~own).sum()))
    rightly = wilson(float((said & own).sum()), max(1, int(said.sum())))
    half = found.value >= HALF and rightly.low >= PURE
    return _Told(stratum, found.value - false.value, found.low - false.high, half)


def _giveaways(trait: Trait, strata: np.ndarray) -> Iterator[tuple[object, object, int, float]]:
    """Yield values nearly all of whose rows are of one stratum: value, stratum, rows, share."""
    rows_of = Counter(strata.tolist())
    for value, count in Counter(trait.values).most_common(20):
        if count < FEWEST or value == "":
            continue
        here = np.array([v == value for v in trait.values])
        stratum, right = Counter(strata[here].tolist()).most_common(1)[0]
        surprising = rows_of[stratum] <= USUAL * len(strata)
        if surprising and wilson(right, count).low >= PURE and right >= SHARE * rows_of[stratum]:
            yield value, stratum, count, right / count


def _of_names(examined: Examined, rows: np.ndarray) -> list[Trait]:
    """Return traits of the files' names, where the inputs are files; the label's folder is none."""
    cells = [examined.dataset.inputs[i] for i in rows.tolist()]
    paths = [cell[0] if isinstance(cell, tuple) else cell for cell in cells]
    if not all(isinstance(path, Path) for path in paths):
        return []
    files = [path for path in paths if isinstance(path, Path)]
    numbers = [re.findall(r"\d+", path.stem) for path in files]
    labels = [examined.said(i) for i in rows.tolist()]
    folders = [
        "/".join(part for part in path.parent.parts if part != label)
        for path, label in zip(files, labels, strict=True)
    ]
    return [
        Trait("file's name", tuple(re.sub(r"\d+", "#", path.stem) for path in files), False),
        Trait(
            "number in the file's name",
            tuple(float(n[-1][-15:]) if n else -1.0 for n in numbers),
            False,
        ),
        Trait("file's folder", tuple(folders), False),
        Trait("file's ending", tuple(path.suffix.lower() for path in files), False),
    ]


def _seconds(examined: Examined) -> float:
    """Return about how long it takes: loading a library, headers of files, some small trees."""
    return 1.0 + 1e-3 * min(MOST, len(examined.dataset))


checks.register("leaks", Check(leaks, _seconds))
