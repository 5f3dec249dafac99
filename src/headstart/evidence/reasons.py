"""Why a head start did not help, as far as what was measured tells it."""

from __future__ import annotations

from collections.abc import Mapping

from headstart.evidence.learning_curve import LearningCurve
from headstart.evidence.similarity import Similarity

FAR = 0.45
"""Similarity below which rows are little like a source's own."""
SIMPLE = 0.1
"""Share of the errors of the trivial answer up to which a model from scratch leaves nothing to
gain."""


def likely_reasons(
    similarity: Similarity | None,
    scratch: float,
    trivial: float,
    greater: bool,
    curves: Mapping[str, LearningCurve],
) -> list[str]:
    """Return what may be the reasons, each a clause that follows on "because".

    Parameters
    ----------
    similarity
        Of the rows to what the source was trained on.
    scratch, trivial
        Scores of the best model from scratch and of the trivial answer.
    greater
        More of the score is better, one at best; else less, zero at best.
    curves
        Learning curves of both sides, ``transfer`` and ``scratch``, as far as they are known.
    """
    found = []
    if similarity is not None and similarity.score is not None and similarity.score < FAR:
        found.append(f"the rows are far from what the source learnt from ({similarity})")
    left, most = (1 - scratch, 1 - trivial) if greater else (scratch, trivial)
    if most > 0 and left <= SIMPLE * most:
        found.append(
            f"the task is simple: from scratch, {1 - left / most:.0%} of the errors of the trivial "
            "answer are avoided"
        )
    rows = _overtaken(curves)
    if rows is not None:
        found.append(
            f"there are enough labels: a head start is ahead with few of them, and no longer with "
            f"{rows:,}"
        )
    return found


def _overtaken(curves: Mapping[str, LearningCurve]) -> int | None:
    """Return from which measured size on scratch is as good, if it is behind at the smallest."""
    if not {"transfer", "scratch"} <= curves.keys():
        return None
    ours, theirs = curves["transfer"], curves["scratch"]
    common = sorted(set(ours.rows) & set(theirs.rows))
    sign = 1 if ours.greater else -1
    ahead = [
        sign * (ours.scores[ours.rows.index(n)] - theirs.scores[theirs.rows.index(n)]) > 0
        for n in common
    ]
    if not ahead or not ahead[0] or ahead[-1]:
        return None
    last = max(i for i, leading in enumerate(ahead) if leading)
    return common[last + 1]
