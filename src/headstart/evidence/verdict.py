"""The verdict: did the head start help?"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

from headstart.evidence.intervals import LEVEL, Interval

Answer = Literal["helps", "no evidence", "hurts"]


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
    over
        The recipe of the scratch finalist, or None.
    method
        ``holdout`` or ``given``.
    reason
        Why there is no gain, where there is none.
    """

    transfer: Answer
    gain: Interval | None
    metric: str
    over: str | None
    method: str
    reason: str = ""

    def data(self) -> dict[str, Any]:
        """Return the verdict as JSON data."""
        data: dict[str, Any] = {
            "transfer": self.transfer,
            "gain": self.gain.data() if self.gain else None,
            "over": "scratch",
            "level": LEVEL,
            "method": self.method,
            "comparisons": [],
        }
        return {**data, "reason": self.reason} if self.reason else data

    def __str__(self) -> str:
        if self.gain is None:
            return f"{self.transfer}: {self.reason}"
        g = self.gain
        return (
            f"{self.transfer}: {g.value:+.3f} {self.metric} [{g.low:.3f}, {g.high:.3f}] "
            f"over the best model from scratch ({self.over})"
        )


def judge(gain: Interval) -> Answer:
    """Return the verdict that an interval of the gain stands for."""
    if gain.low > 0:
        return "helps"
    return "hurts" if gain.high < 0 else "no evidence"
