"""Rows that are unlike all others."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from headstart.evidence.audit import Check, Examined, Finding, checks
from headstart.wording import counted

BEYOND = 3.0
"""Interquartile ranges above the third quartile (Tukey's outer fence) from which a row is far."""
FEWEST = 30
"""Different rows below which nothing is said."""


def outliers(examined: Examined) -> Iterator[Finding]:
    """Find rows far from their tenth neighbour, by what a source says of them."""
    distinct = examined.distinct
    if len(distinct) < FEWEST or examined.near is None:
        return
    far = examined.near.distances[:, -1]
    first, third = np.quantile(far, [0.25, 0.75])
    beyond = np.flatnonzero(far > third + BEYOND * (third - first))
    if len(beyond):
        ordered = distinct[beyond[np.argsort(-far[beyond])]]
        yield Finding(
            "outliers",
            "note",
            f"{counted(len(ordered), 'row is', 'rows are')} unlike all others",
            "they are kept; look whether they belong to the data",
            tuple(ordered.tolist()),
        )


checks.register("outliers", Check(outliers))
