"""Tests of where things are drawn."""

import numpy as np

from headstart.evidence.learning_curve import LearningCurve
from headstart.report.charts import HEIGHT, WIDTH, learning_chart, reliability_chart

LAWS = np.array([[0.2, 0.1, 0.5]] * 50)
CURVE = LearningCurve("accuracy", True, (50, 100), (0.7, 0.8), (0.03, 0.02), LAWS)


def places(chart):
    """All pairs of coordinates of a polyline or polygon."""
    return [tuple(map(float, pair.split(","))) for pair in chart.split()]


def test_curves_begin_where_they_were_measured_and_end_at_four_times_the_rows():
    data = {"of": "a", "side": "transfer", **CURVE.data()}
    other = {"of": "b", "side": "scratch", **CURVE.data()}
    chart = learning_chart({**data, "other": other})
    assert [(line["name"], line["side"]) for line in chart["lines"]] == [
        ("a", "transfer"), ("b", "scratch")
    ]  # fmt: skip
    assert [tick["text"] for tick in chart["rows"]] == ["50", "100", "200", "400"]
    apart = np.diff([tick["x"] for tick in chart["rows"]])
    assert np.ptp(apart) < 0.3  # each twice the one before: at even distances
    line = chart["lines"][0]
    assert [bar["x"] for bar in line["bars"]] == [tick["x"] for tick in chart["rows"][:2]]
    assert line["bars"][1]["y"] < line["bars"][0]["y"]  # the better, the higher
    for x, y in places(line["line"]) + places(line["band"]):
        assert 0 <= x <= WIDTH and 0 <= y <= HEIGHT
    assert places(line["line"])[-1][0] == chart["rows"][-1]["x"]


def test_the_dashed_line_goes_through_groups_that_are_as_right_as_they_are_sure():
    groups = [
        {"confidence": c, "value": c, "low": c - 0.1, "high": c + 0.05} for c in (0.3, 0.6, 0.9)
    ]
    chart = reliability_chart(groups)
    even = chart["even"]
    slope = (even["y2"] - even["y1"]) / (even["x2"] - even["x1"])
    for group in chart["groups"]:
        assert abs(even["y1"] + slope * (group["x"] - even["x1"]) - group["y"]) < 0.5
        assert group["high"] < group["y"] < group["low"]
