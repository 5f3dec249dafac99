"""Tests of what is said of more labels at the end of a run."""

import csv
import random

import pytest

import headstart as hs
from headstart.evidence.learning_curve import LearningCurve
from headstart.recipes import Phase, Recipe
from headstart.report.summary import summary
from headstart.search import outlook
from headstart.search.outlook import epochs_of, round_number, said


@pytest.fixture(scope="module")
def study(tmp_path_factory):
    """A run on 150 sentences of which one in five has the other label. Do not change."""
    chance, place = random.Random(3), tmp_path_factory.mktemp("news")
    words = {"sport": "goal match team coach race", "money": "bank share fund loan debt"}
    with (place / "news.csv").open("w", newline="", encoding="utf-8") as out:
        table = csv.writer(out)
        table.writerow(["headline", "topic"])
        for i in range(150):
            topic, other = list(words) if i % 2 else list(words)[::-1]
            said = chance.sample(words[other if i % 5 == 0 else topic].split(), 3)
            table.writerow([f"{' '.join(said)} in town {i}", topic])
    options = {"label": "topic", "budget": "60m", "max_trials": 3}
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(outlook, "SHARE", 0.05)
        return hs.fit(place / "news.csv", out=place / "run", **options)


def test_the_curves_of_both_sides_are_in_the_result(study):
    data, curve = study.result["learning_curve"], study.learning_curve
    assert isinstance(curve, LearningCurve) and curve.rows == (15, 30, 60, 120)
    assert LearningCurve.of(data["other"]).rows == curve.rows
    assert {data["of"].split()[0], data["other"]["of"].split()[0]} <= {
        *("probe", "layers", "tfidf-linear")
    }
    assert {data["side"], data["other"]["side"]} == {"transfer", "scratch"}
    page = (study.folder / "report.html").read_text()
    assert page.count("<polygon") == 2 and "How sure it is, and how often right" in page
    # one label in five is wrong, which no number of rows takes away
    assert 0.65 < curve.at(1000).low < curve.at(1000).value < 0.92
    assert study.result["seconds"]["total"] < 300


@pytest.mark.parametrize(("fewer", "epochs"), ((800, 5), (400, 5), (200, 10), (100, 20), (25, 40)))
def test_fewer_rows_have_as_many_steps_as_far_as_the_recipe_goes(fewer, epochs):
    recipe = Recipe("r", "image", "small", "small-cnn", 1, phases=(Phase(40, 1e-3),))
    assert epochs_of(recipe, 5, 400, fewer) == epochs


def test_the_summary_says_what_more_labels_bring(study):
    text = str(study)
    assert "Would more labels help? With 100 more labels expect 0." in text
    result = dict(study.result)
    curve = result["learning_curve"]
    result["learning_curve"] = {**curve, "meets": {"value": 1234.0, "low": 900.0, "high": 3000.0}}
    assert f"From about 1,234 labels on, {curve['other']['of']} is forecast" in summary(
        result, study.folder
    )


def test_without_time_there_is_no_curve(study, monkeypatch):
    monkeypatch.setattr(outlook, "_curve", lambda *_: None)
    again = hs.fit(
        study.folder.parent / "news.csv",
        out=study.folder.parent / "again",
        label="topic",
        budget="5m",
        max_trials=1,
    )
    assert again.learning_curve is None and "Would more labels help?" not in str(again)


@pytest.mark.parametrize(
    ("rows", "number"), [(1, 1), (7, 5), (10, 10), (49, 20), (50, 50), (999, 500), (60_000, 50_000)]
)
def test_more_labels_are_a_round_number(rows, number):
    assert round_number(rows) == number


def test_what_is_expected_is_said_of_all_labels_and_some_more(study):
    curve = study.learning_curve
    expected = curve.at(150 + 100)
    assert said(curve, 150) == (
        f"with 100 more labels expect {expected.value:.3f} accuracy "
        f"[{expected.low:.3f}, {expected.high:.3f}]"
    )
