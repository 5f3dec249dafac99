"""How numbers and metrics are said."""

from __future__ import annotations

ABBREVIATED = {
    "rmse": "RMSE",
    "mae": "MAE",
    "r2": "R²",
    "auroc": "AUROC",
    "mAP": "mAP",
    "cer": "CER",
    "wer": "WER",
    "macro_f1": "macro F1",
    "micro_f1": "micro F1",
}
"""Metrics that are not said by their names."""


def counted(number: int, one: str, several: str = "") -> str:
    """Return a number with what it counts, such as ``1 row is`` or ``1,200 rows are``.

    `several` is `one` with an s where it is empty.
    """
    return f"{number:,} {one if number == 1 else several or f'{one}s'}"


def spoken(metric: str) -> str:
    """Return a metric's name as it is said."""
    return ABBREVIATED.get(metric, metric.replace("_", " "))
