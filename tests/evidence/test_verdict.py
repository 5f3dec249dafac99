"""The verdict: where the interval of the gain lies."""

from __future__ import annotations

import pytest

from headstart.evidence.intervals import Interval
from headstart.evidence.verdict import Verdict, judge


@pytest.mark.parametrize(
    ("low", "high", "answer"),
    (
        (0.01, 0.2, "helps"),
        (-0.2, -0.01, "hurts"),
        (-0.1, 0.1, "no evidence"),
        (0.0, 0.2, "no evidence"),
        (-0.2, 0.0, "no evidence"),
        (0.0, 0.0, "no evidence"),
    ),
)
def test_the_answer_is_where_the_interval_lies(low, high, answer):
    assert judge(Interval((low + high) / 2, low, high)) == answer


def test_a_verdict_says_by_how_much_and_over_what():
    verdict = Verdict("helps", Interval(0.31, 0.27, 0.35), "accuracy", "holdout")
    expected = "helps: +0.310 accuracy [0.270, 0.350] over the best model from scratch"
    assert str(verdict) == expected
    assert verdict.data() == {
        "transfer": "helps",
        "gain": {"value": 0.31, "low": 0.27, "high": 0.35},
        "over": "scratch",
        "level": 0.95,
        "method": "holdout",
        "comparisons": [],
        "likely": [],
    }


def test_a_loss_keeps_its_sign():
    verdict = Verdict("hurts", Interval(-0.05, -0.08, -0.02), "auroc", "words", "given")
    assert str(verdict).startswith("hurts: -0.050 AUROC [-0.080, -0.020]")


def test_without_a_gain_the_reason_is_said():
    verdict = Verdict("no evidence", None, "accuracy", "holdout", "no time for scratch")
    assert str(verdict) == "no evidence: no time for scratch"
    data = verdict.data()
    assert data["gain"] is None and data["reason"] == "no time for scratch"
