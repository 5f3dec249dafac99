"""Tests of holding out all rows in turn, from the rule that asks for it to the result."""

import csv
import json
import random
from types import SimpleNamespace

import numpy as np
import pytest
import torch

import headstart as hs
from headstart.data.dataset import Column, Dataset
from headstart.errors import UsageError
from headstart.evidence.nested import Answered
from headstart.models.constant import Constant
from headstart.recipes import Recipe, recipes_for
from headstart.search import preparation, race
from headstart.search import run as running
from headstart.search.budget import Stopped
from headstart.search.folds import REPEATS, UNITS, Unfinished, dealt, forecast, hold_out
from headstart.search.ledger import TrialRecord
from headstart.search.standing import Contender, Entry, Standing
from headstart.search.trial import Bench
from headstart.tasks import tasks
from headstart.tasks.metrics import CLASSIFICATION
from headstart.training.learners import Fitted, Rows, learners

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
    monkeypatch.setattr(running, "hold_out", None)  # nothing is to be fitted on folds again
    options = {**OPTIONS, "evaluation": "nested-cv", "resume": True}
    again = hs.fit(data, out=tmp_path / "run", **options).result
    for found in (again, known := json.loads(json.dumps(study.result))):
        found.pop("seconds")
    assert again == known


def bench_of(metric: str, targets: np.ndarray) -> tuple[Bench, Rows]:
    task, spec = tasks.get("text-classification"), {"name": "topic", "classes": ["a", "b"]}
    names = [f"row {i}" for i in range(len(targets))]
    data = Dataset(
        path="world",
        modality="text",
        inputs=tuple(names),
        names=tuple(names),
        digests=tuple(f"{i:064x}" for i in range(len(names))),
        targets=(Column("topic", tuple(spec["classes"][t] for t in targets)),),
        groups=None,
        parts=(None,) * len(names),
    )
    rows = Rows(data, targets, np.arange(len(names)))
    chosen = task.metrics(spec)[metric]
    return Bench(task, spec, chosen, rows, rows, {}, "data", "split", 0, choosing=False), rows


class Biased(Constant):
    """Knows the class of most rows, is far too sure of it, and leans towards the first class."""

    def __init__(self, lean: float, sure: float) -> None:
        super().__init__(torch.zeros(2))
        self.lean, self.sure = lean, sure

    def outputs(self, rows):
        numbers = np.array([int(name.split()[1]) for name in rows.names])
        truth = np.array([value == "b" for value in rows.targets[0].values])
        said = truth ^ (numbers % 7 == 0)
        return (
            torch.from_numpy(np.stack([self.lean - said * 1.0, said * 1.0], 1)).float() * self.sure
        )


def saying(model, learnt):
    def fit(assignment):
        assert assignment.validation is None
        learnt.append(set(assignment.train[0].data.names))
        return Fitted(model, {}, "none")

    return SimpleNamespace(fit=fit, forecast=lambda assignment: float(assignment.rows))


SAYING = Recipe("saying", "text", "small", "saying", rank=1)


def test_each_row_is_held_out_from_a_model_of_all_others(monkeypatch):
    bench, rows = bench_of("accuracy", np.arange(60) % 2)
    learnt = []
    monkeypatch.setitem(learners._entries, "saying", saying(Biased(0.0, 1.0), learnt))
    deal = dealt(rows, bench, 0)
    answers, _ = hold_out(deal, SAYING, None, {}, lambda: False)
    assert len(learnt) == 5 and answers.score(bench.metric) == pytest.approx(51 / 60)
    for fold, names in zip(deal.folds, learnt, strict=True):
        assert names == set(rows.data.names) - set(fold.held.data.names)
    assert forecast(deal, SAYING, None, {}) == 5 * 48


def test_answers_are_as_sure_as_those_of_other_folds_ask_for(monkeypatch):
    bench, rows = bench_of("accuracy", np.arange(60) % 2)
    deal = dealt(rows, bench, 0)
    found = {}
    for sure in (1.0, 9.0):
        monkeypatch.setitem(learners._entries, "saying", saying(Biased(0.0, sure), []))
        answers, adjusting = hold_out(deal, SAYING, None, {}, lambda: False)
        found[sure] = answers.losses.mean()
        assert "offsets" not in adjusting
    assert adjusting["temperature"] > 3  # they are right in 85 of 100 cases, and say 99.99
    assert found[9.0] == pytest.approx(found[1.0], rel=0.1)


def test_decisions_are_made_as_those_of_other_folds_ask_for(monkeypatch):
    targets = (np.arange(100) % 10 == 0).astype(int)
    bench, rows = bench_of("balanced_accuracy", targets)
    monkeypatch.setitem(learners._entries, "saying", saying(Biased(2.5, 1.0), []))
    answers, adjusting = hold_out(dealt(rows, bench, 0), SAYING, None, {}, lambda: False)
    assert adjusting["offsets"][1] > adjusting["offsets"][0]
    assert answers.score(bench.metric) > 0.8  # as they are, all say "a": 0.5


def test_a_fold_without_a_model_is_said(monkeypatch):
    bench, rows = bench_of("accuracy", np.arange(60) % 2)

    def fit(_assignment):
        return Fitted(Biased(0.0, 1.0), {}, "none", cut_short=True)

    monkeypatch.setitem(learners._entries, "saying", SimpleNamespace(fit=fit))
    with pytest.raises(Unfinished, match="the deadline came"):
        hold_out(dealt(rows, bench, 0), SAYING, None, {}, lambda: True)


def test_those_lead_in_the_end_that_do_best_in_all_deals():
    def entered(number, name, start, *shares):
        answers = [
            Answered(hits[:, None], np.ones(100), None, None)
            for hits in (np.arange(100.0) < share for share in shares)
        ]
        score = shares[0] / 100
        record = TrialRecord(number, name, {}, "done", score, 1.0, {"loss": 1.0})
        recipe = Recipe(name, "text", start, "probe", rank=1)
        contender = Contender(Entry(recipe, "toy"), record, None, answers=answers[:1])
        standing.enter(contender)
        return contender, answers

    standing = Standing(CLASSIFICATION["accuracy"], 20, most=2)
    lucky, steady, worse, dropped = (
        entered(1, "lucky", "source", 90, 80, 80),
        entered(2, "steady", "source", 88, 88, 89),
        entered(3, "worse", "small", 85, 86, 86),
        entered(4, "dropped", "source", 70),
    )
    assert standing.transfer is lucky[0] and standing.outscored_by is None
    for contender, answers in (lucky, steady, worse):
        contender.answers[:] = answers
    standing.rank_again()
    assert standing.transfer is steady[0] and standing.winner is steady[0]
    assert standing.scratch is worse[0] and standing.by_source["toy"] is steady[0]
    assert standing.best(True) == [steady[0], lucky[0]] and len(standing.tried) == 4
    assert dropped[0] not in standing.kept()


def test_of_few_rows_what_recipes_brought_elsewhere_decides_and_of_many_the_scores():
    found = {}
    for rows in (40, 40_000):
        standing = Standing(CLASSIFICATION["accuracy"], rows)
        for name, gain, score in (("head", 0.0, 0.95), ("tuned", 0.4, 0.925)):
            record = TrialRecord(1, name, {}, "done", score, 1.0, {"loss": 1.0})
            recipe = Recipe(name, "text", "source", "probe", rank=1, gain=gain)
            standing.enter(Contender(Entry(recipe, "toy"), record, None))
        rival = standing.outscored_by
        found[rows] = standing.transfer.entry.recipe.name, rival and rival.entry.recipe.name
    assert found == {40: ("tuned", "head"), 40_000: ("head", None)}


def test_what_recipes_brought_elsewhere_does_not_decide_between_the_sides():
    standing = Standing(CLASSIFICATION["accuracy"], 40)
    for name, start, score in (("tuned", "source", 0.925), ("small", "small", 0.95)):
        record = TrialRecord(1, name, {}, "done", score, 1.0, {"loss": 1.0})
        recipe = Recipe(name, "text", start, "probe", rank=1, gain=2.0)
        standing.enter(Contender(Entry(recipe, "toy"), record, None))
    assert standing.winner is standing.scratch


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
    planned = [Entry(SAYING, None)]
    assert preparation._evaluation(asked, "holdout", rows, None, planned, clock) == method


def test_where_nothing_cheap_learns_rows_are_not_held_out_in_turn():
    rows = SimpleNamespace(units=np.arange(40), data=SimpleNamespace(parts=[None] * 40))
    planned = [Entry(recipe, "whisper") for recipe in recipes_for("audio", "text")]
    assert {"zero-shot", "finetune"} <= {entry.recipe.name for entry in planned}
    clock = SimpleNamespace(left=1e6)
    assert preparation._evaluation("auto", "holdout", rows, None, planned, clock) == "holdout"


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
