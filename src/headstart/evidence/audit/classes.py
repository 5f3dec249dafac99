"""Classes or labels of very unequal sizes."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from headstart.evidence.audit import Check, Examined, Finding, checks

UNEQUAL = 10.0
"""How many times as many rows the largest class has as the smallest where it is said."""


def classes(examined: Examined) -> Iterator[Finding]:
    """Find classes that are much rarer than others."""
    names = examined.spec.get("classes", [])
    if len(names) < 2:
        return
    targets = examined.targets
    counts = targets.sum(0) if targets.ndim > 1 else np.bincount(targets, minlength=len(names))
    rare = np.flatnonzero(counts * UNEQUAL <= counts.max())
    if len(rare):
        order = rare[np.argsort(counts[rare], kind="stable")]
        shown = ", ".join(f"{names[i]!r} ({int(counts[i]):,})" for i in order[:5])
        more = ", …" if len(order) > 5 else ""
        of_one = targets[:, order] > 0 if targets.ndim > 1 else targets[:, None] == order
        rows = np.flatnonzero(of_one.any(1))
        have = "has" if len(rare) == 1 else "have"
        yield Finding(
            "classes",
            "note",
            f"{len(rare):,} of {len(names):,} classes {have} at most a tenth of the rows of the "
            f"largest, {names[int(counts.argmax())]!r} ({int(counts.max()):,}): {shown}{more}",
            "every split keeps their shares; --class-weights balanced lets them count as much as "
            "the others, --metric macro_f1 scores them so",
            tuple(rows.tolist()),
            tuple(names[order[i]] for i in of_one[rows].argmax(1)),
        )


checks.register("classes", Check(classes))
