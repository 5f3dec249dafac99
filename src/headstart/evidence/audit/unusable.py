"""Rows that could not be used."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator

from headstart.evidence.audit import Check, Examined, Finding, checks
from headstart.wording import counted


def unusable(examined: Examined) -> Iterator[Finding]:
    """Tell how many rows were set aside, and the most frequent reasons."""
    dataset = examined.dataset
    aside = dataset.set_aside
    if not aside:
        return
    reasons = Counter(row.reason for row in aside).most_common(3)
    yield Finding(
        "unusable rows",
        "warning" if len(aside) > len(dataset) / 20 else "note",
        f"{counted(len(aside), 'row')} cannot be used: "
        + "; ".join(f"{reason} ({count:,})" for reason, count in reasons),
        "they are set aside and listed, each with its reason",
        aside=aside,
    )


checks.register("unusable", Check(unusable))
