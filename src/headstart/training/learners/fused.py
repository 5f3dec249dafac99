"""Trains the small model of each input of a row, and averages their outputs."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from headstart.data.dataset import TOGETHER
from headstart.models.fused import Fused
from headstart.recipes import recipes_for
from headstart.training.learners import Assignment, Fitted, learners, settle


class LearnFused:
    """Hands the same rows to the learner of each part."""

    def forecast(self, assignment: Assignment) -> float:
        """Return the seconds of all parts together."""
        parts = _parts(assignment)
        return sum(learners.get(part.recipe.learner).forecast(part) for part in parts)

    def settle(self, assignment: Assignment) -> dict[str, Any]:
        """Return what each part settles, by its learner."""
        return {part.recipe.learner: settle(part) for part in _parts(assignment)}

    def fit(self, assignment: Assignment) -> Fitted:
        """Return the models of all parts as one."""
        found = {
            part.recipe.learner: learners.get(part.recipe.learner).fit(part)
            for part in _parts(assignment)
        }
        return Fitted(
            Fused([fitted.model for fitted in found.values()]),
            {name: fitted.settled for name, fitted in found.items()},
            "none",
            any(fitted.cut_short for fitted in found.values()),
            max((fitted.history for fitted in found.values()), key=len),
        )


def _parts(assignment: Assignment) -> list[Assignment]:
    """Return the assignments of the parts: each with the first small recipe for its inputs."""
    found = []
    for modality in assignment.train[0].data.modality.split(TOGETHER):
        small = [
            recipe
            for recipe in recipes_for(modality, assignment.task.output)
            if recipe.start == "small"
        ]
        settled = assignment.settled.get(small[0].learner, {})
        found.append(replace(assignment, recipe=small[0], settled=settled))
    return found


learners.register("fused", LearnFused())
