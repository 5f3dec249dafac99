"""Charts of the report: places on the page for what is drawn there."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np

from headstart.evidence.intervals import figure
from headstart.evidence.learning_curve import LearningCurve

WIDTH, HEIGHT = 420, 240
_LEFT, _RIGHT, _TOP, _BOTTOM = 60, 405, 12, 200
_AHEAD = 24
"""Sizes at which a forecast is drawn."""

Scale = Callable[[float], float]


def learning_chart(data: dict[str, Any]) -> dict[str, Any]:
    """Return the chart of the learning curves in ``result.json``: rows to the right, doubling."""
    sides = [data, data["other"]] if "other" in data else [data]
    curves = [(side, LearningCurve.of(side)) for side in sides]
    last = max(curve.rows[-1] for _, curve in curves)
    sizes = np.geomspace(last, 4 * last, _AHEAD).round().astype(int).tolist()
    drawn = []
    for side, curve in curves:
        measured = list(zip(curve.rows, curve.scores, curve.errors, strict=True))
        ahead = [(n, curve.at(n)) for n in sizes]
        drawn.append((side, measured, ahead))
    values = [
        s + sign * 2 * e for _, measured, _ in drawn for _, s, e in measured for sign in (-1, 1)
    ]
    values += [end for _, _, ahead in drawn for _, i in ahead for end in (i.low, i.high)]
    rows = [n for _, measured, _ in drawn for n, _, _ in measured]
    x, y = _scale(np.log([min(rows), 4 * last]), _LEFT, _RIGHT), _scale(values, _BOTTOM, _TOP)

    def at(n: float) -> float:
        return x(float(np.log(n)))

    return {
        "lines": [
            {
                "name": side["of"],
                "side": side["side"],
                "bars": [
                    {"x": at(n), "y": y(s), "low": y(s - 2 * e), "high": y(s + 2 * e)}
                    for n, s, e in measured
                ],
                "line": _points((at(n), y(i.value)) for n, i in ahead),
                "band": _points(
                    [(at(n), y(i.high)) for n, i in ahead]
                    + [(at(n), y(i.low)) for n, i in reversed(ahead)]
                ),
            }
            for side, measured, ahead in drawn
        ],
        "rows": [{"x": at(n), "text": f"{n:,}"} for n in (min(rows), last, 2 * last, 4 * last)],
        "scores": _ticks(values, y),
    }


def reliability_chart(groups: Sequence[dict[str, float]]) -> dict[str, Any]:
    """Return the reliability diagram: how sure to the right, how often right upwards."""
    ends = [group["low"] for group in groups] + [group["high"] for group in groups]
    values = ends + [group["confidence"] for group in groups]
    x, y = _scale(values, _LEFT, _RIGHT), _scale(values, _BOTTOM, _TOP)
    low, high = min(values), max(values)
    return {
        "even": {"x1": x(low), "y1": y(low), "x2": x(high), "y2": y(high)},
        "groups": [
            {
                "x": x(group["confidence"]),
                "y": y(group["value"]),
                "low": y(group["low"]),
                "high": y(group["high"]),
            }
            for group in groups
        ],
        "sure": [{"x": tick["at"], "text": tick["text"]} for tick in _ticks(values, x)],
        "right": _ticks(values, y),
    }


def _scale(values: Iterable[float], start: float, end: float) -> Scale:
    """Return what places a value on an axis that spans all values."""
    found = [float(value) for value in values]
    low, span = min(found), max(found) - min(found) or 1.0
    return lambda value: round(start + (value - low) / span * (end - start), 1)


def _ticks(values: Sequence[float], scale: Scale) -> list[dict[str, Any]]:
    low, high = min(values), max(values)
    return [{"at": scale(v), "text": figure(v)} for v in np.linspace(low, high, 4).tolist()]


def _points(pairs: Iterable[tuple[float, float]]) -> str:
    return " ".join(f"{x},{y}" for x, y in pairs)
