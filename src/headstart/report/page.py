"""The report: one self-contained HTML page about a finished run."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from jinja2 import Environment, PackageLoader

from headstart.errors import ArtifactError
from headstart.evidence.intervals import figure
from headstart.report.charts import HEIGHT, WIDTH, learning_chart, reliability_chart
from headstart.report.summary import MOST_FREQUENT, SIDES, summary
from headstart.search.ledger import Ledger
from headstart.wording import spoken

_LEFT, _RIGHT = 190, 610
_COLOURS = {
    "transfer": "#1f6feb",
    "scratch": "#d9730d",
    "probe": "#6b9bd1",
    "as_it_is": "#8250df",
    "majority": "#888",
}


def write_page(result: dict[str, Any], folder: Path) -> Path:
    """Write ``report.html`` into a run folder and return its path.

    Parameters
    ----------
    result
        Content of ``result.json``.
    folder
        The run folder; trials, notes and rows set aside come from its ledger.

    Raises
    ------
    ArtifactError
        If the page cannot be written.
    """
    ledger = Ledger(folder / "ledger.db")
    curve, sure = result.get("learning_curve"), result.get("calibration")
    trials = ledger.trials()
    winner = next((t for t in trials if t.id == result["winner"].get("trial")), None)
    template = Environment(
        loader=PackageLoader("headstart.report", "."), autoescape=True, trim_blocks=True
    ).get_template("page.html.j2")
    page = template.render(
        result=result,
        headline=f"Transfer: {result['verdict']['transfer']}",
        metric=spoken(result["metric"]),
        figure=figure,
        summary=summary(result, folder).strip(),
        bars=_bars(result),
        learning=learning_chart(curve) if curve else None,
        reliability=reliability_chart(sure["groups"]) if sure else None,
        width=WIDTH,
        height=HEIGHT,
        colours=_COLOURS,
        trials=trials,
        plan=(winner.details.get("plan") if winner else None) or [],
        notes=ledger.fact("notes") or [],
        set_aside=ledger.fact("set aside") or [],
    )
    ledger.close()
    path = folder / "report.html"
    try:
        path.write_text(page, encoding="utf-8", errors="backslashreplace")
    except OSError as error:
        raise ArtifactError(f"{path} cannot be written ({error.strerror}).") from None
    return path


def _bars(result: dict[str, Any]) -> list[dict[str, Any]]:
    """Return the scores as places on the page; the axis spans all intervals."""
    entries = {**result["finalists"], **result["baselines"]}
    scores = {
        name: entries[name]["test"]
        for name in _COLOURS
        if isinstance(entries.get(name), dict) and entries[name].get("test")
    }
    if not scores:
        return []
    low = min(score["low"] for score in scores.values())
    span = max(score["high"] for score in scores.values()) - low or 1.0
    names = {**SIDES, "probe": "probe alone"}
    names["as_it_is"] = result["baselines"].get("as_it_is", {}).get("says", "")
    names["majority"] = result["baselines"].get("majority", {}).get("says", MOST_FREQUENT)

    def place(value: float) -> float:
        return round(_LEFT + (value - low) / span * (_RIGHT - _LEFT), 1)

    return [
        {
            "name": names[name],
            "colour": _COLOURS[name],
            "text": figure(score["value"]),
            **{end: place(score[end]) for end in ("low", "value", "high")},
        }
        for name, score in scores.items()
    ]
