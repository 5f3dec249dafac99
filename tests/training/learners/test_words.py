"""Fitting the right-sized small model for texts."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch
from scipy.special import softmax
from sklearn.linear_model import LogisticRegression

from headstart.models.word_model import texts_of, vectoriser
from headstart.recipes import Recipe
from headstart.training.learners import learners, words

LEARNER = learners.get("words")
RECIPE = Recipe("tfidf-linear", "text", "small", "words", rank=20)


def score(fitted, assignment):
    held = assignment.validation
    return assignment.metric.score(fitted.model.outputs(held.data), held.targets)


@pytest.mark.parametrize("exact", (4_000, 40))
def test_it_learns_from_few_rows_and_from_many(assign, headlines, monkeypatch, exact):
    monkeypatch.setattr(words, "EXACT", exact)
    assignment = assign(RECIPE, headlines)
    fitted = LEARNER.fit(assignment)
    assert score(fitted, assignment) > 0.9
    assert fitted.cut == "none" and fitted.settled["strength"] in words.STRENGTHS


@pytest.mark.parametrize(("exact", "close"), ((4_000, 1e-3), (40, 2e-2)))
def test_it_is_the_logistic_regression_of_tfidf(
    assign, refit, headlines, monkeypatch, exact, close
):
    monkeypatch.setattr(words, "EXACT", exact)
    assignment = refit(assign(RECIPE, headlines), {"strength": 3.0})
    fitted = LEARNER.fit(assignment)
    assert fitted.settled == {"strength": 3.0}
    texts = [text for piece in assignment.train for text in texts_of(piece.data)]
    counted = vectoriser()
    features = counted.fit_transform(texts)
    model = LogisticRegression(C=3.0, tol=1e-8, max_iter=5_000).fit(features, assignment.targets)
    expected = model.predict_proba(counted.transform(texts_of(headlines)))
    found = softmax(fitted.model.outputs(headlines).numpy(), axis=1)
    np.testing.assert_allclose(found, expected, atol=close)


def test_a_class_without_training_rows_is_never_answered(assign, headlines):
    assignment = assign(RECIPE, headlines)
    train = assignment.train[0]
    known = np.flatnonzero(train.targets != 1)
    piece = replace(
        train,
        data=train.data.take(known.tolist()),
        targets=train.targets[known],
        units=train.units[known],
    )
    fitted = LEARNER.fit(replace(assignment, train=(piece,)))
    assert set(fitted.model.outputs(headlines).argmax(1).tolist()) == {0, 2}


def test_the_same_seed_gives_the_same_model(assign, headlines):
    outputs = [
        LEARNER.fit(assign(RECIPE, headlines, seed=3)).model.outputs(headlines) for _ in range(2)
    ]
    assert torch.equal(*outputs)


def test_texts_without_a_word_do_not_end_the_run(assign, dataset_of):
    rows = dataset_of([f"{'!?'[i % 2]}{'.' * i}" for i in range(12)], list("ab") * 6)
    outputs = LEARNER.fit(assign(RECIPE, rows)).model.outputs(rows)
    assert outputs.shape == (12, 2) and len(outputs.unique(dim=0)) == 1


def test_the_forecast_grows_with_the_rows(assign, refit, headlines):
    assignment = assign(RECIPE, headlines)
    assert 0 < LEARNER.forecast(assignment) < LEARNER.forecast(refit(assignment, {}))
