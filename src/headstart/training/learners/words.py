"""Fits TF-IDF with logistic regression, its strength chosen by cross-validation."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch

from headstart.data.splits import deal
from headstart.models.word_model import WordModel, texts_of, vectoriser
from headstart.tasks.linear import logits_of
from headstart.training.learners import Assignment, Fitted, learners

STRENGTHS = (1.0, 5.0, 25.0, 100.0)
TERMS = 50_000
FOLDS = 3


class Words:
    """The task's classes from words and word pairs."""

    def forecast(self, assignment: Assignment) -> float:
        """Return the seconds of counting words and of all fits."""
        rows = sum(len(piece.data) for piece in assignment.train)
        return 0.5 + rows * 0.004

    def fit(self, assignment: Assignment) -> Fitted:
        """Return the linear model over TF-IDF."""
        texts = [text for piece in assignment.train for text in texts_of(piece.data)]
        targets = assignment.targets
        counted = vectoriser(most=TERMS)
        features = counted.fit_transform(texts)
        strength = assignment.settled.get("strength") or _strength(
            features, targets, assignment.units, assignment.seed
        )
        model = _logistic(strength).fit(features, targets)
        classes = assignment.task.head(1, assignment.spec).outputs
        weight, bias = logits_of(model, classes)
        return Fitted(
            WordModel(
                counted.get_feature_names_out().tolist(),
                torch.from_numpy(counted.idf_).float(),
                torch.from_numpy(weight),
                torch.from_numpy(bias),
            ),
            {"strength": strength},
            "none",
        )


def _logistic(strength: float) -> Any:
    from sklearn.linear_model import LogisticRegression

    return LogisticRegression(C=strength, max_iter=100, tol=1e-3)


def _strength(features: Any, targets: np.ndarray, units: np.ndarray, seed: int) -> float:
    """Return the strength with most correct answers over held-out folds; the least of equals."""
    order = np.random.default_rng(seed).permutation(len(targets))
    fold_of = deal(targets, units, order, FOLDS)
    right = np.zeros(len(STRENGTHS))
    for fold in range(FOLDS):
        inside, outside = fold_of != fold, fold_of == fold
        if len(np.unique(targets[inside])) < 2 or not outside.any():
            continue
        for i, strength in enumerate(STRENGTHS):
            model = _logistic(strength).fit(features[inside], targets[inside])
            right[i] += (model.predict(features[outside]) == targets[outside]).sum()
    return STRENGTHS[int(right.argmax())]


learners.register("words", Words())
