"""A picture of curves: accuracy over time, one line a system."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from xml.sax.saxutils import escape

from peers.curves import Curve

WIDTH, HEIGHT = 720, 400
LEFT, RIGHT, TOP, BOTTOM = 56, 20, 64, 48
TIMES = (1, 2, 5, 10, 20, 60, 120, 300, 600, 1800, 3600)
LEGEND = 3
"""Names a line above the picture."""


@dataclass(frozen=True)
class Line:
    """The curve of a system, its name and its colour."""

    name: str
    colour: str
    curve: Curve


def drawn(title: str, lines: Sequence[Line]) -> str:
    """Return the picture as SVG, the same for the same lines; the first one is the thickest.

    Time is on a logarithmic axis. A circle is a point that was measured; points are joined in the
    order of time. Systems without points have a name and no line.
    """
    points = [point for line in lines for point in line.curve] or [[1.0, 0.0], [2.0, 1.0]]
    first = max((t for t in TIMES if t <= min(s for s, _ in points)), default=TIMES[0])
    last = min((t for t in TIMES if t >= max(s for s, _ in points)), default=TIMES[-1])
    last = last if last > first else 2 * first
    lowest = math.floor(10 * min(accuracy for _, accuracy in points)) / 10
    highest = math.ceil(20 * max(accuracy for _, accuracy in points)) / 20

    def x(seconds: float) -> float:
        share = math.log(max(seconds, first) / first) / math.log(last / first)
        return LEFT + min(share, 1.0) * (WIDTH - LEFT - RIGHT)

    def y(accuracy: float) -> float:
        share = (accuracy - lowest) / max(highest - lowest, 0.05)
        return HEIGHT - BOTTOM - share * (HEIGHT - TOP - BOTTOM)

    parts = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {WIDTH} {HEIGHT}" '
        f'width="{WIDTH}" height="{HEIGHT}" font-family="sans-serif" font-size="12" fill="#333">',
        f'<rect width="{WIDTH}" height="{HEIGHT}" fill="white"/>',
        _text(LEFT, 18, f"{title}: accuracy on the test, over seconds of fitting", weight="bold"),
    ]
    for time in TIMES:
        if first <= time <= last:
            parts.append(_rule(x(time), TOP, x(time), HEIGHT - BOTTOM))
            parts.append(_text(x(time), HEIGHT - BOTTOM + 18, _time(time), "middle"))
    step = 0.05 if highest - lowest <= 0.4 else 0.1
    for i in range(round((highest - lowest) / step) + 1):
        level = lowest + i * step
        parts.append(_rule(LEFT, y(level), WIDTH - RIGHT, y(level)))
        parts.append(_text(LEFT - 8, y(level) + 4, f"{level:.2f}", "end"))
    for i, line in enumerate(lines):
        column, row = i % LEGEND, i // LEGEND
        across, down = LEFT + column * 220, 36 + row * 16
        parts.append(f'<circle cx="{across + 4}" cy="{down - 4}" r="4" fill="{line.colour}"/>')
        parts.append(_text(across + 14, down, line.name))
        places = [f"{x(s):.1f},{y(a):.1f}" for s, a in sorted(map(tuple, line.curve))]
        width = 2.5 if i == 0 else 1.5
        parts.append(
            f'<polyline points="{" ".join(places)}" fill="none" stroke="{line.colour}" '
            f'stroke-width="{width}"/>'
        )
        for place in places:
            cx, cy = place.split(",")
            parts.append(f'<circle cx="{cx}" cy="{cy}" r="3" fill="{line.colour}"/>')
    return "\n".join([*parts, "</svg>", ""])


def _rule(x1: float, y1: float, x2: float, y2: float) -> str:
    return f'<line x1="{x1:.1f}" y1="{y1:.1f}" x2="{x2:.1f}" y2="{y2:.1f}" stroke="#ddd"/>'


def _text(x: float, y: float, text: str, anchor: str = "start", weight: str = "normal") -> str:
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}" font-weight="{weight}">'
        f"{escape(text)}</text>"
    )


def _time(seconds: int) -> str:
    return f"{seconds} s" if seconds < 60 else f"{seconds // 60} min"
