"""The ranking of made-up sources whose order is known."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from headstart.evidence.shortlist import (
    BEST,
    LARGEST,
    Candidate,
    affordable,
    measured,
    ranked,
    shortlist,
)
from headstart.evidence.similarity import Similarity
from headstart.tasks import metric_for, tasks
from headstart.tasks.matrix import Array


def candidate(source, probe, rate=100.0, parameters=1):
    return Candidate(source, probe, {}, Similarity(None, ""), rate, parameters)


FOUR = [candidate("a", 0.7), candidate("b", 0.9), candidate("c", 0.8), candidate("d", 0.6)]


def names(candidates):
    return [c.source for c in candidates]


def test_the_best_probe_comes_first_and_of_equals_the_fastest():
    same = [candidate("slow", 0.8, 10), candidate("fast", 0.8, 90), candidate("unknown", None)]
    assert names(ranked([*same, candidate("best", 0.9, 1)])) == ["best", "fast", "slow", "unknown"]


def test_three_are_kept():
    assert shortlist([*FOUR, candidate("e", 0.85, parameters=5)]) == dict.fromkeys("bec", BEST)


def test_the_largest_has_a_place():
    found = shortlist([*FOUR, candidate("huge", 0.1, parameters=9)])
    assert found == {"b": BEST, "c": BEST, "huge": LARGEST}


def test_what_nothing_is_known_of_has_no_place_beside_others():
    unknown = candidate("e", None, parameters=9)
    assert "e" not in shortlist([*FOUR[:2], unknown])
    assert list(shortlist([unknown])) == ["e"]


def test_the_largest_must_be_affordable():
    slow = candidate("huge", 0.1, rate=1, parameters=9)
    assert shortlist([*FOUR, slow]) == dict.fromkeys("bca", BEST)
    unknown = candidate("huge", 0.1, rate=0, parameters=9)
    assert "huge" in shortlist([*FOUR, unknown])


def test_those_are_affordable_that_are_not_much_slower_than_most():
    rates = {"a": 300.0, "b": 200.0, "c": 25.0, "slow": 10.0, "unknown": 0.0}
    assert affordable(rates) == {"a", "b", "c", "unknown"}
    assert affordable({"slow": 15.0}) == {"slow"} and affordable({}) == set()


def test_few_sources_are_all_kept():
    assert list(shortlist(FOUR[:2])) == ["b", "a"]
    assert shortlist([]) == {}


@pytest.mark.parametrize("name", ["text-classification", "text-multilabel", "text-regression"])
def test_features_that_tell_the_answer_are_measured_to_be_better(name):
    random = np.random.default_rng(0)
    features = random.normal(size=(150, 12)).astype(np.float32)
    numbers = features[:, :3] + 0.3 * random.normal(size=(150, 3))
    targets = {
        "text-classification": numbers.argmax(1),
        "text-multilabel": (numbers > 0).astype(np.float32),
        "text-regression": numbers.astype(np.float32),
    }[name]
    task = tasks.get(name)
    spec = {"classes": ["a", "b", "c"]} if "regression" not in name else {"scale": [1, 1, 1]}
    metric = metric_for(task, spec)
    found = []
    for seen in (features, random.normal(size=features.shape).astype(np.float32)):
        rows = Array(seen)
        found.append(
            measured(
                task,
                spec,
                metric,
                probed=rows,
                features=rows,
                targets=targets,
                units=np.arange(150),
            )
        )
    (good, good_scores), (bad, bad_scores) = found
    assert good > bad
    assert good_scores["leep"] is None
    for score in ("logme", "h-score", "nearest"):
        assert good_scores[score] > bad_scores[score], score


def test_where_no_row_can_be_held_out_no_probe_is_claimed():
    random = np.random.default_rng(0)
    features, targets = Array(random.normal(size=(60, 30)).astype(np.float32)), np.arange(60) % 2
    spec = {"name": "label", "classes": ["a", "b"]}
    task = tasks.get("text-classification")
    metric = task.metrics(spec)["accuracy"]
    one = measured(task, spec, metric, features, features, targets, np.zeros(60, int))
    each = measured(task, spec, metric, features, features, targets, np.arange(60))
    assert one[0] is None and 0.2 < each[0] < 0.8


def test_the_sources_own_head_is_asked():
    features = np.eye(2, dtype=np.float32).repeat(30, 0)
    task = tasks.get("text-classification")
    spec = {"classes": ["a", "b"]}
    rows = Array(features)
    _, scores = measured(
        task,
        spec,
        metric_for(task, spec),
        probed=rows,
        features=rows,
        targets=np.arange(60) // 30,
        units=np.arange(60),
        head=(50 * torch.eye(2), torch.zeros(2)),
    )
    assert scores["leep"] == pytest.approx(0)
