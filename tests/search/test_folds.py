"""Tests of holding out all rows in turn, from the rule that asks for it to the result."""

import csv
import json
import random
from types import SimpleNamespace

import numpy as np
import pytest

import headstart as hs
from headstart.errors import UsageError
from headstart.search import preparation, race
from headstart.search import run as running
from headstart.search.budget import Stopped
from headstart.search.folds import REPEATS, UNITS

WORDS = {"sport": "goal match team coach", "money": "bank share fund loan"}


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Forty headlines of two topics; every tenth has the other's words. Do not change."""
    chance, place = random.Random(1), tmp_path_factory.mktemp("news") / "news.csv"
    with place.open("w", newline="", encoding="utf-8") as out:
        table = csv.writer(out)
        table.writerow(["headline", "topic", "author"])
        for i in range(40):
            topic, other = list(WORDS) if i % 2 else list(WORDS)[::-1]
            words = WORDS[other if i % 10 < 2 and i > 20 else topic].split()
            said = [chance.choice(words) for _ in range(3)]
            table.writerow([f"{' '.join(said)} in town {i}", topic, f"a{i // 4}"])
    return place


OPTIONS = {"label": "topic", "input": "headline", "budget": "60m", "max_trials": 3}


@pytest.fixture(scope="module")
def study(data, tmp_path_factory):
    out = tmp_path_factory.mktemp("run") / "run"
    return hs.fit(data, out=out, evaluation="nested-cv", **OPTIONS)


def test_all_rows_are_held_out_and_none_is_lost_to_a_test(study):
    result = study.result
    assert result["verdict"]["method"] == "nested-cv"
    assert result["data"]["test"] == 40
    assert result["data"]["train"] + result["data"]["validation"] == 40
    assert result["winner"]["rows"] == 40 and result["winner"]["refitted"]
    nested = result["nested"]
    assert (nested["folds"], nested["repeats"]) == (5, REPEATS)
    for name in ("transfer", "scratch", "winner"):
        scores = nested["scores"][name]
        assert len(scores) == REPEATS and 0.5 < min(scores) <= max(scores) < 1
    assert nested["scores"]["majority"] == [0.5]
    test = result["winner"]["test"]
    assert test["value"] == pytest.approx(np.mean(nested["scores"]["winner"]), abs=1e-6)
    assert test["low"] < min(nested["scores"]["winner"])
    assert result["verdict"]["gain"]["low"] < result["verdict"]["gain"]["value"]


def test_the_summary_says_what_the_figures_are_of(study):
    said = str(study)
    assert "40 rows, each held out from the models that answered it" in said
    assert "Of 5 ways to hold rows out, the procedure scored" in said
    assert "fitted in the same way on four fifths" in said and "test rows" not in said


def test_a_run_that_was_stopped_holds_nothing_out_again(data, study, tmp_path, monkeypatch):
    def stop(*_given):
        raise Stopped("interrupted")

    with monkeypatch.context() as patched:
        patched.setattr(running, "estimate", stop)
        first = hs.fit(data, out=tmp_path / "run", evaluation="nested-cv", **OPTIONS)
    assert first.result["status"] == "interrupted" and first.model.predict(["a goal"])
    monkeypatch.setattr(running, "answered", None)  # nothing is to be fitted on folds again
    options = {**OPTIONS, "evaluation": "nested-cv", "resume": True}
    again = hs.fit(data, out=tmp_path / "run", **options).result
    for found in (again, known := json.loads(json.dumps(study.result))):
        found.pop("seconds")
    assert again == known


def test_rows_of_a_group_are_held_out_together(data, tmp_path):
    grouped = hs.fit(data, out=tmp_path / "run", evaluation="nested-cv", group="author", **OPTIONS)
    assert grouped.result["verdict"]["method"] == "nested-cv"
    assert grouped.result["data"]["test"] == 40


@pytest.mark.parametrize(
    ("asked", "rows", "left", "method"),
    [
        ("auto", 40, 1e6, "nested-cv"),
        ("auto", 40, 2.0, "holdout"),
        ("holdout", 40, 1e6, "holdout"),
        ("auto", 10, 1e6, "holdout"),
        ("auto", UNITS, 1e6, "holdout"),
        ("nested-cv", UNITS, 2.0, "nested-cv"),
    ],
)
def test_few_rows_are_held_out_in_turn_if_there_is_time(monkeypatch, asked, rows, left, method):
    monkeypatch.setattr(preparation, "UNITS", UNITS)
    monkeypatch.setattr(preparation, "dealt", lambda *_: None)
    monkeypatch.setattr(preparation, "affordable_on", lambda _d, _r, seconds: seconds > 10)

    rows = SimpleNamespace(units=np.arange(rows), data=SimpleNamespace(parts=[None] * rows))
    clock = SimpleNamespace(left=left)
    found = preparation._evaluation(asked, "holdout", rows, None, [], clock)
    assert found == method


def test_own_test_rows_and_times_are_not_held_out_in_turn(data, tmp_path):
    with pytest.raises(UsageError, match="does not go together with test rows of your own"):
        hs.fit(data, test=data, out=tmp_path / "run", evaluation="nested-cv", **OPTIONS)
    with pytest.raises(UsageError, match="--evaluation twice is not known"):
        hs.fit(data, out=tmp_path / "run", evaluation="twice", **OPTIONS)


def test_without_time_for_folds_there_is_a_model_and_no_verdict(data, tmp_path, monkeypatch):
    monkeypatch.setattr(race, "forecast", lambda *_: 1e9)
    found = hs.fit(data, out=tmp_path / "run", evaluation="nested-cv", **OPTIONS)
    assert found.result["winner"]["test"] is None
    assert found.result["verdict"]["reason"] == "the race ended before any row was held out"
    assert found.model.predict(["the team scored a goal"])
