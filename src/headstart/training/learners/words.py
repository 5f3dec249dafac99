"""Fits TF-IDF with the task's linear model, its strength chosen by cross-validation."""

from __future__ import annotations

import numpy as np
import torch

from headstart.errors import UsageError
from headstart.models.word_model import WordModel, texts_of, vectoriser
from headstart.tasks.linear import Problem, SparseProblem
from headstart.training.learners import Assignment, Fitted, learners

STRENGTHS = (1.0, 3.0, 10.0, 30.0, 100.0, 300.0)
TERMS = 50_000
EXACT = 4_000
"""Rows up to which the problem is solved from the products of its rows."""


class Words:
    """The task's answer from words and word pairs."""

    def forecast(self, assignment: Assignment) -> float:
        """Return the seconds of counting words and of all fits."""
        rows = sum(len(piece.data) for piece in assignment.train)
        return 0.5 + rows * 0.002 + (min(rows, EXACT) / 1000) ** 3 * assignment.many

    def fit(self, assignment: Assignment) -> Fitted:
        """Return the linear model over TF-IDF."""
        texts = [text for piece in assignment.train for text in texts_of(piece.data)]
        counted = vectoriser(most=TERMS)
        try:
            features = counted.fit_transform(texts).astype(np.float32)
        except ValueError:  # there is not one word in all texts
            return Fitted(assignment.task.constant(assignment.targets, assignment.spec), {}, "none")
        few = len(texts) <= EXACT
        problem = Problem.of_sparse(features) if few else SparseProblem(features)
        found = assignment.solved(problem, STRENGTHS)
        if found is None:
            raise UsageError(f"{assignment.task.name} has no linear solution, only training")
        return Fitted(
            WordModel(
                counted.get_feature_names_out().tolist(),
                torch.from_numpy(counted.idf_).float(),
                torch.from_numpy(np.ascontiguousarray(found.weight)),
                torch.from_numpy(found.bias),
            ),
            {"strength": found.strength},
            "none",
        )


learners.register("words", Words())
