"""Labels that are probably wrong: the answers of models that did not learn from a row."""

from __future__ import annotations

from collections.abc import Iterator

from headstart.evidence.audit import Check, Examined, Finding, checks
from headstart.tasks.linear import MOST
from headstart.training.solving import seconds_of_solving
from headstart.wording import counted


def labels(examined: Examined) -> Iterator[Finding]:
    """Find rows whose label out-of-fold answers contradict; each task says how."""
    if examined.outputs is None:
        return
    found = examined.task.suspects(examined.outputs, examined.targets, examined.spec)
    if not found:
        return
    share = len(found) / len(examined.dataset)
    are = "is" if len(found) == 1 else "are"
    yield Finding(
        "labels",
        "warning",
        f"{counted(len(found), 'label')} ({share:.1%}) {are} not what the other rows suggest",
        "nothing is changed; look at the first of them, which are the likeliest to be wrong",
        tuple(found),
        tuple(f"{examined.said(row)}, rather {guess}" for row, guess in found.items()),
    )


def _seconds(examined: Examined) -> float:
    """Return about how long it takes: loading a library, and solving once for what is held."""
    if examined.features is None:
        return 0.0
    rows, width = examined.features.shape
    outputs = examined.task.head(width, examined.spec).outputs
    return 1.5 + seconds_of_solving(min(rows, MOST), width, max(1.0, outputs / 10))


checks.register("labels", Check(labels, _seconds))
