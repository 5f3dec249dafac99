"""Fitted toys to save, load and use."""

from __future__ import annotations

from dataclasses import replace

import pytest

from headstart.artifact.saving import Artifact, save
from headstart.evidence.novelty import describe
from headstart.recipes import Recipe
from headstart.training.learners import learners


@pytest.fixture(autouse=True)
def _alone(own_cache, eager):
    """Leave no traces, compile nothing."""


def fitted(assignment, card=""):
    model = learners.get(assignment.recipe.learner).fit(assignment).model
    return Artifact(
        model, assignment.task.name, assignment.spec, "accuracy", card, {"seed": assignment.seed}
    )


@pytest.fixture
def words(assign, headlines):
    """A model of TF-IDF on three topics."""
    return fitted(assign(Recipe("words", "text", "small", "words", rank=1), headlines), "# Words\n")


@pytest.fixture
def sentences(assign, headlines, toy_text):
    """A probe on a toy encoder of texts."""
    recipe = Recipe("probe", "any", "source", "probe", rank=1, solved=True)
    return fitted(assign(recipe, headlines, toy_text), "# Sentences\n")


@pytest.fixture
def pictures(assign, squares, toy_image):
    """A probe on a toy network for pictures, that reads the middle stages too."""
    recipe = Recipe("layers", "any", "source", "probe", rank=1, solved=True, head="layers")
    return fitted(assign(recipe, squares, toy_image), "# Pictures\n")


@pytest.fixture
def wary(words, headlines):
    """The model of TF-IDF, which knows texts unlike those of its topics."""
    features = words.model.respond(headlines).features
    return replace(words, novelty=describe(features[:60], features[60:].repeat(4, 1)))


@pytest.fixture
def saved(words, tmp_path):
    """A folder with the saved model of TF-IDF; tests may damage it."""
    folder = tmp_path / "place" / "model"
    save(words, folder)
    return folder
