"""The summary says what a manager needs, whatever the outcome."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest

from headstart.report.summary import summary

SCORE = {"value": 0.87, "low": 0.82, "high": 0.91}
RESULT = {
    "status": "complete",
    "task": "text-classification",
    "metric": "macro_f1",
    "data": {"rows": 1000, "test": 300, "quarantined": 3, "left_out": 0, "classes": ["a", "b"]},
    "winner": {
        "source": "bundled/minilm",
        "recipe": "finetune",
        "cut": "layer.4",
        "refitted": True,
        "rows": 1234,
        "validation": SCORE,
        "test": SCORE,
    },
    "finalists": {
        "transfer": {"recipe": "finetune", "test": SCORE},
        "scratch": {"recipe": "tfidf-linear", "test": {"value": 0.5, "low": 0.4, "high": 0.6}},
    },
    "baselines": {"majority": {"test": {"value": 0.1, "low": 0.0, "high": 0.2}}},
    "verdict": {"transfer": "helps", "gain": {"value": 0.37, "low": 0.3, "high": 0.4}},
    "left_out": [],
    "seconds": {"total": 58.2},
}


def changed(**changes):
    result = copy.deepcopy(RESULT)
    for path, value in changes.items():
        place = result
        *folders, last = path.split("__")
        for folder in folders:
            place = place[folder]
        place[last] = value
    return summary(result, Path("runs/x"))


def test_it_gives_scores_gain_and_what_is_handed_back():
    text = changed()
    assert "0.870 [0.820, 0.910]  with a head start (finetune)" in text
    assert "0.500 [0.400, 0.600]  from scratch (tfidf-linear)" in text
    assert "Yes: starting from a pre-trained model helped." in text
    assert "between +0.300 and +0.400" in text
    assert "tuned from layer.4 on" in text
    assert "3 rows could not be used" in text
    assert "headstart predict runs/x" in text


@pytest.mark.parametrize(
    ("changes", "said"),
    [
        ({"verdict__transfer": "hurts"}, "made it worse"),
        ({"verdict__transfer": "no evidence"}, "cannot be said"),
        ({"verdict__transfer": "hurts"}, "The test rows prefer the model from scratch"),
        (
            {"winner__source": None, "winner__recipe": "tfidf-linear"},
            "the model from scratch (tfidf-linear)",
        ),
        ({"winner__source": None}, "The test rows prefer the head start"),
        ({"winner__members": ["a of x", "b of x"]}, "2 models that answer together: a of x; b of"),
        (
            {"winner__outscored_by": "layers of x"},
            "layers of x scored more, but by so few rows that",
        ),
        ({"data__left_out": 1234}, "1,234 rows were left out"),
        ({"left_out": ["full of bundled/minilm"]}, "Not tried, mostly for lack of time: full"),
        ({"status": "interrupted"}, "Stopped early (interrupted)"),
        ({"winner__test": None}, "test rows were not read"),
        ({"verdict__gain": None, "verdict__reason": "no time for scratch"}, "no time for scratch"),
    ],
)
def test_it_says_so_in_plain_words(changes, said):
    assert said in changed(**changes)


def test_what_the_head_start_saved_is_told_where_it_is_worth_it():
    def cost(times):
        ours, theirs = {"seconds": 2.0}, {"seconds": 2.0 * times}
        return {"transfer": ours, "scratch": theirs, "times_sooner": times}

    sooner = "as good as the best model from scratch after 2.0 seconds; that one took 20.0"
    assert sooner in changed(seconds__savings=cost(10.0))
    assert "that one took" not in changed(seconds__savings=cost(1.2))
    assert "that one took" not in changed(seconds__savings={**cost(1.2), "transfer": None})


def test_each_source_is_told_where_several_raced():
    gain = {"value": 0.3, "low": 0.2, "high": 0.4}
    compared = [{"source": "a/b", "recipe": "probe", "gain": gain, "level": 0.975}]
    assert "+0.300 [+0.200, +0.400]  a/b (probe)" in changed(verdict__comparisons=compared)
    assert "Each source" not in changed()


def test_each_task_has_its_words():
    data = {**RESULT["data"], "classes": []}
    trivial = {"majority": {"says": "always the mean", "test": SCORE}}
    task = {"task": "text-regression", "metric": "rmse", "data": data, "baselines": trivial}
    text = summary({**RESULT, **task}, Path("runs/x"))
    assert "RMSE on 300 test rows" in text and "0.870 [0.820, 0.910]  always the mean" in text
    assert "1,000 rows in" in text
    labels = summary({**RESULT, "task": "text-multilabel", "metric": "mAP"}, Path("runs/x"))
    assert "rows of 2 labels" in labels and "\nmAP on 300" in labels


def test_what_is_so_wrong_that_scores_mislead_is_said():
    serious = {"severity": "serious", "says": "the length tells the class", "does": "look"}
    findings = [serious, {**serious, "severity": "note", "says": "x"}]
    said = summary({**RESULT, "findings": findings}, Path("runs/x"))
    assert "Do not trust the scores" in said
    assert "the length tells the class; look." in said
    assert "  x" not in said
    assert "Do not trust" not in summary(RESULT, Path("runs/x"))
