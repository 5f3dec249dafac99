"""How far what was written is from what was said: error rates of letters and of words."""

from __future__ import annotations

from typing import Any

import numpy as np
from torch import Tensor

from headstart.data.letters import normalised, texts_of
from headstart.tasks import Metric
from headstart.tasks.metrics import mean_of_rows


def _edits(units: Any) -> Any:
    """Return the statistics of an error rate: edits and units of each row, (rows, 2)."""

    def statistics(outputs: Tensor, targets: np.ndarray) -> np.ndarray:
        from rapidfuzz.distance import Levenshtein

        pairs = zip(texts_of(outputs), texts_of(targets), strict=True)
        rows = [(units(normalised(written)), units(normalised(said))) for written, said in pairs]
        found = [(Levenshtein.distance(a, b), len(b)) for a, b in rows]
        return np.array(found, np.float64).reshape(-1, 2)

    return statistics


def _rate(statistics: np.ndarray, weights: np.ndarray) -> np.ndarray:
    """Return all edits over all units."""
    totals = weights @ statistics
    found: np.ndarray = totals[:, 0] / np.maximum(totals[:, 1], 1)
    return found


def _right(outputs: Tensor, targets: np.ndarray) -> np.ndarray:
    pairs = zip(texts_of(outputs), texts_of(targets), strict=True)
    same = [normalised(written) == normalised(said) for written, said in pairs]
    return np.array(same, np.float64)[:, None]


TRANSCRIPTS = {
    "cer": Metric("cer", False, _edits(str), _rate),
    "wer": Metric("wer", False, _edits(str.split), _rate),
    "exact_match": Metric("exact_match", True, _right, mean_of_rows, proportion=True),
}
"""Letters, and words, that were added, left out or exchanged, over those that were said
(Levenshtein, 1966); and the share of rows without a mistake."""
