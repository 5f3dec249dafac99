"""Every learner trains every task: none of them assumes classes."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
import torch

from headstart.data.dataset import Column
from headstart.recipes import Phase, Recipe
from headstart.training.learners import learners, words

TRAINED = (Phase(epochs=6, rate=1e-3),)
RECIPES = {
    "probe": Recipe("probe", "any", "source", "probe", 10, solved=True),
    "layers": Recipe("layers", "any", "source", "probe", 11, solved=True, head="layers"),
    "finetune": Recipe(
        "finetune",
        "any",
        "source",
        "tune",
        40,
        stages=1,
        phases=TRAINED,
        solved=True,
        smoothing=0.1,
    ),
    "small-cnn": Recipe(
        *("small-cnn", "image", "small", "small-cnn", 20),
        phases=(Phase(epochs=30, rate=5e-3),),
        norm="adapting",
        smoothing=0.05,
    ),
    "tfidf-linear": Recipe("tfidf-linear", "text", "small", "words", 20),
}
FITTING = [
    (modality, task, recipe)
    for modality, fitting in (
        ("image", ("probe", "layers", "finetune", "small-cnn")),
        ("text", ("probe", "finetune", "tfidf-linear")),
    )
    for task in ("multilabel", "regression", "several numbers")
    for recipe in fitting
]


@pytest.fixture
def labelled(squares, headlines):
    """A function that gives the squares or the headlines sets of labels, or numbers."""

    def make(modality, task):
        data = squares if modality == "image" else headlines
        kind = np.unique(data.targets[0].values, return_inverse=True)[1]
        number = kind + np.random.default_rng(0).normal(0, 0.1, len(kind))
        columns = {
            "multilabel": {"label": [(("a",), ("a", "b"), ("c",))[k] for k in kind]},
            "regression": {"first": [f"{100 + 5 * x:.3f}" for x in number]},
        }
        columns["several numbers"] = {
            **columns["regression"],
            "second": [f"{-0.01 * x:.5f}" for x in number],
        }
        targets = tuple(Column(name, tuple(v)) for name, v in columns[task].items())
        return replace(data, targets=targets)

    return make


@pytest.mark.parametrize(("modality", "task", "recipe"), FITTING)
def test_it_learns(assign, refit, labelled, request, modality, task, recipe):
    backbone = request.getfixturevalue(f"toy_{modality}")
    recipe = RECIPES[recipe]
    given = None if recipe.start == "small" else backbone
    assignment = assign(recipe, labelled(modality, task), given)
    learner, held, metric = learners.get(recipe.learner), assignment.validation, assignment.metric
    assert (
        assignment.task.name == f"{modality}-{task.split(' ')[0].replace('several', 'regression')}"
    )
    assert learner.forecast(assignment) > 0
    fitted = learner.fit(assignment)
    constant = assignment.task.constant(assignment.targets, assignment.spec)
    scores = [
        metric.score(model.outputs(held.data), held.targets) for model in (fitted.model, constant)
    ]
    if metric.name == "mAP":
        assert scores[0] > 0.9 > scores[1]
    else:
        assert scores[0] < 0.8 * scores[1]
    again = learner.fit(refit(assignment, fitted.settled))
    assert again.settled == fitted.settled


def test_many_texts_are_solved_row_by_row(assign, labelled, monkeypatch):
    for task in ("multilabel", "several numbers"):
        assignment = assign(RECIPES["tfidf-linear"], labelled("text", task))
        few = learners.get("words").fit(assignment).model.outputs(assignment.validation.data)
        with monkeypatch.context() as patch:
            patch.setattr(words, "EXACT", 40)
            many = learners.get("words").fit(assignment).model.outputs(assignment.validation.data)
        torch.testing.assert_close(many, few, atol=0.2, rtol=0.1)
