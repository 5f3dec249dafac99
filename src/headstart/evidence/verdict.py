"""The verdict: did the head start help?"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

from headstart.evidence.intervals import LEVEL, Interval, figure
from headstart.wording import spoken

Answer = Literal["helps", "no evidence", "hurts"]


@dataclass(frozen=True)
class Comparison:
    """A source's best model beside the best one from scratch, where several sources compete.

    Of all sources together the intervals hold the true gain 19 times out of 20: each has a share of
    the error (Bonferroni). The verdict itself needs none, since its two models were fixed before a
    test row was read.
    """

    source: str
    recipe: str
    gain: Interval
    level: float

    def data(self) -> dict[str, Any]:
        """Return it as JSON data."""
        named = {"source": self.source, "recipe": self.recipe, "transfer": judge(self.gain)}
        return {**named, "gain": self.gain.data(), "level": round(self.level, 4)}


@dataclass(frozen=True)
class Verdict:
    """Where the interval of the transfer gain lies.

    Attributes
    ----------
    transfer
        ``helps`` if the whole interval is above zero, ``hurts`` if below, else ``no evidence``.
    gain
        None where one of the finalists is missing.
    metric
        Name of the score that was compared.
    method
        ``holdout`` or ``given``.
    reason
        Why there is no gain, where there is none.
    likely
        Why the head start did not help, where it did not and that is seen; each a clause that
        follows on "because".
    comparisons
        Of each source, where there are several.
    adapted
        How much better the model with a head start is than the source as it is, where that can
        answer without having learnt anything.
    """

    transfer: Answer
    gain: Interval | None
    metric: str
    method: str
    reason: str = ""
    likely: tuple[str, ...] = ()
    comparisons: tuple[Comparison, ...] = ()
    adapted: Interval | None = None

    def data(self) -> dict[str, Any]:
        """Return the verdict as JSON data."""
        data: dict[str, Any] = {
            "transfer": self.transfer,
            "gain": self.gain.data() if self.gain else None,
            "over": "scratch",
            "level": LEVEL,
            "method": self.method,
            "comparisons": [comparison.data() for comparison in self.comparisons],
            "likely": list(self.likely),
        }
        if self.adapted is not None:
            gain = self.adapted.data()
            data["adapted"] = {"over": "source", "transfer": judge(self.adapted), "gain": gain}
        return {**data, "reason": self.reason} if self.reason else data

    def __str__(self) -> str:
        return sentence(self.data(), self.metric)


def sentence(verdict: Mapping[str, Any], metric: str) -> str:
    """Return a verdict, given as its JSON data, in one line."""
    gain = verdict["gain"]
    if gain is None:
        return f"{verdict['transfer']}: {verdict.get('reason', '')}"
    said = f"{verdict['transfer']}: {_over(gain, metric)} over the best model from scratch"
    adapted = verdict.get("adapted")
    return f"{said}, {_over(adapted['gain'], '')} over the source as it is" if adapted else said


def _over(gain: Mapping[str, float], metric: str) -> str:
    unit = f" {spoken(metric)}" if metric else ""
    ends = f"[{figure(gain['low'])}, {figure(gain['high'])}]"
    return f"{figure(gain['value'], '+')}{unit} {ends}"


def judge(gain: Interval) -> Answer:
    """Return the verdict that an interval of the gain stands for."""
    if gain.low > 0:
        return "helps"
    return "hurts" if gain.high < 0 else "no evidence"
