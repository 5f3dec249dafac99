"""Fits TF-IDF with logistic regression, its strength chosen by cross-validation."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import torch

from headstart.models.word_model import WordModel, texts_of, vectoriser
from headstart.tasks.linear import logits_of, solve_products
from headstart.training.learners import Assignment, Fitted, Rows, learners

STRENGTHS = (1.0, 3.0, 10.0, 30.0, 100.0, 300.0)
TERMS = 50_000
EXACT = 4_000
"""Rows up to which the problem is solved from the products of its rows."""


class Words:
    """The task's classes from words and word pairs."""

    def forecast(self, assignment: Assignment) -> float:
        """Return the seconds of counting words and of all fits."""
        rows = sum(len(piece.data) for piece in assignment.train)
        return 0.5 + rows * 0.002 + (min(rows, EXACT) / 1000) ** 3

    def fit(self, assignment: Assignment) -> Fitted:
        """Return the linear model over TF-IDF."""
        texts = [text for piece in assignment.train for text in texts_of(piece.data)]
        counted = vectoriser(most=TERMS)
        try:
            features = counted.fit_transform(texts).astype(np.float32)
        except ValueError:  # there is not one word in all texts
            return Fitted(assignment.task.constant(assignment.targets, assignment.spec), {}, "none")
        fit = _from_products if len(texts) <= EXACT else _from_features
        weight, bias, strength = fit(features, assignment)
        return Fitted(
            WordModel(
                counted.get_feature_names_out().tolist(),
                torch.from_numpy(counted.idf_).float(),
                torch.from_numpy(np.ascontiguousarray(weight, np.float32)),
                torch.from_numpy(np.ascontiguousarray(bias, np.float32)),
            ),
            {"strength": strength},
            "none",
        )


def _from_products(features: Any, assignment: Assignment) -> tuple[Any, Any, float]:
    """Return (weights, biases, strength), all folds and strengths solved together."""
    mean = np.asarray(features.mean(0)).ravel()
    products = (features @ features.T).toarray().astype(np.float64)
    products -= products.mean(0)
    products -= products.mean(1, keepdims=True)
    found = solve_products(
        products,
        assignment.targets,
        assignment.task.head(1, assignment.spec).outputs,
        assignment.units,
        assignment.seed,
        STRENGTHS,
        assignment.settled.get("strength"),
    )
    weight = found.weight @ features
    return weight, found.bias - weight @ mean, found.strength


def _from_features(features: Any, assignment: Assignment) -> tuple[Any, Any, float]:
    """Return the same for many rows, the strength chosen on some of them."""
    from sklearn.linear_model import LogisticRegression

    strength = assignment.settled.get("strength")
    if strength is None:
        order = np.random.default_rng(assignment.seed).permutation(len(assignment.targets))
        some = order[:EXACT]
        pieces = (Rows(assignment.train[0].data, assignment.targets[some], assignment.units[some]),)
        strength = _from_products(features[some], replace(assignment, train=pieces))[2]
    model = LogisticRegression(C=strength, max_iter=100, tol=1e-3)
    model.fit(features, assignment.targets)
    weight, bias = logits_of(model, assignment.task.head(1, assignment.spec).outputs)
    return weight, bias, strength


learners.register("words", Words())
