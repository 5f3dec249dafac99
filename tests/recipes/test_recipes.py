"""Recipes are data: what they name must be there, and the race must get them in order."""

from __future__ import annotations

import json
from dataclasses import replace

import pytest

from headstart.data.modalities import modalities
from headstart.data.pictures.views import policies
from headstart.data.sounds.views import policies as sounds
from headstart.models.heads import heads
from headstart.recipes import Phase, Recipe, recipes, recipes_for
from headstart.training.learners import learners
from headstart.training.perturbations import perturbations

ALL = [recipe for variants in recipes for recipe in variants]


def names(recipe):
    return f"{recipe.name}-{recipe.modality}-{recipe.stages}-{recipe.rank}"


@pytest.mark.parametrize("recipe", ALL, ids=names)
class TestEachRecipe:
    def test_it_is_data(self, recipe):
        assert Recipe.of(json.loads(json.dumps(recipe.data()))) == recipe

    def test_what_it_names_is_registered(self, recipe):
        assert recipe.name in recipes
        assert recipe.learner in learners
        assert recipe.modality == "any" or recipe.modality in modalities
        assert recipe.head == "" or recipe.head in heads
        known = sounds if recipe.modality == "audio" else policies
        assert set(recipe.augmentation.split("+")) <= {
            "none",
            *known.names(),
        } or recipe.start in ("small", "teacher")
        assert all(name in perturbations for name, _ in recipe.perturbations)

    def test_its_numbers_have_a_meaning(self, recipe):
        assert recipe.batch >= 2 and recipe.decay >= 0 and 0 <= recipe.smoothing < 1
        assert 0 < recipe.scale <= 1 and recipe.views >= 0 and recipe.patience >= 1
        assert recipe.stages is None or recipe.stages >= 0
        for phase in recipe.phases:
            assert phase.epochs >= 1 and phase.rate > 0 and phase.body >= 0
        assert all(strength > 0 for _, strength in recipe.perturbations)
        assert not recipe.perturbations or recipe.learner == "tune"
        assert recipe.views == 0 or recipe.augmentation != "none"

    def test_it_trains_by_descent_just_where_something_is_to_be_trained(self, recipe):
        assert bool(recipe.phases) == (recipe.learner in ("tune", "small-cnn"))
        writes = recipe.output == "text" and bool(recipe.phases)
        assert (recipe.learner == "tune") == (recipe.stages != 0 or writes)

    def test_only_what_is_pre_trained_has_a_solution_to_start_from(self, recipe):
        assert recipe.has_head_start == (recipe.start == "source")
        assert not recipe.solved or recipe.has_head_start


@pytest.mark.parametrize("modality", ("image", "text"))
def test_the_race_begins_with_the_probe_and_has_a_small_model_early(modality):
    found = recipes_for(modality, "pooled")
    assert [recipe.rank for recipe in found] == sorted(recipe.rank for recipe in found)
    assert found[0].name == "probe"
    starts = [recipe.start for recipe in found]
    assert starts.index("small") <= 2, "scratch gets a fair trial"
    assert starts[-1] == "random"
    assert {recipe.modality for recipe in found} <= {modality, "any"}


@pytest.mark.parametrize("modality", modalities.names())
@pytest.mark.parametrize("output", ("pooled", "text"))
def test_a_preset_has_all_of_the_one_before_and_the_fast_one_both_sides(modality, output):
    fast, balanced, best = (
        recipes_for(modality, output, quality) for quality in ("fast", "balanced", "best")
    )
    assert set(fast) <= set(balanced) <= set(best)
    assert not balanced or {recipe.start for recipe in fast} == {"source", "small"}
    assert not any(r.learner == "tune" and r.has_head_start for r in fast)


@pytest.mark.parametrize(
    ("epochs", "shortest", "hurried"), ((40, 12, 20), (20, 12, 12), (8, 12, 8), (40, 0, 40))
)
def test_where_time_is_short_half_of_the_epochs_do(epochs, shortest, hurried):
    recipe = Recipe("r", "any", "small", "l", 1, phases=(Phase(epochs, 1e-3),), shortest=shortest)
    assert recipe.hurried == hurried


@pytest.mark.parametrize("modality", ("image", "text"))
def test_deeper_recipes_come_later(modality):
    """The race leaves out whatever trains more than what it found too dear."""
    found = [r for r in recipes_for(modality, "pooled") if r.start == "source" and not r.objective]
    stages = [float("inf") if recipe.stages is None else recipe.stages for recipe in found]
    assert stages == sorted(stages)


@pytest.mark.parametrize("modality", ("image", "text"))
@pytest.mark.parametrize("output", ("map", "sequence"))
def test_small_models_of_classification_are_for_classification_alone(modality, output):
    found = recipes_for(modality, output)
    assert found[0].name == "probe"
    assert {recipe.learner for recipe in found} == {"probe", "tune"}
    assert not any(recipe.head for recipe in found)


PLAIN = Recipe("r", "any", "small", "l", 1, phases=(Phase(10, 1.0, last=0), Phase(30, 1.0)))


def test_epochs_are_those_of_all_phases():
    assert PLAIN.epochs == 40 and Recipe("r", "any", "source", "probe", 1).epochs == 0


@pytest.mark.parametrize(
    ("most", "rows", "epochs"),
    (
        (0, 10**9, (10, 30)),
        (4_000, 100, (10, 30)),
        (4_000, 125, (8, 24)),
        (4_000, 200, (8, 15)),
        (4_000, 10**9, (8, 8)),
    ),
)
def test_many_rows_need_fewer_passes(most, rows, epochs):
    found = replace(PLAIN, most_seen=most).for_rows(rows)
    assert tuple(phase.epochs for phase in found.phases) == epochs
    assert replace(found, phases=PLAIN.phases, most_seen=0) == PLAIN


def test_short_phases_do_not_grow():
    short = replace(PLAIN, phases=(Phase(2, 1.0, last=0), Phase(50, 1.0)), most_seen=100)
    assert [phase.epochs for phase in short.for_rows(100).phases] == [2, 8]


def test_where_time_is_short_every_phase_is_shorter():
    gradual = replace(PLAIN, phases=(Phase(2, 1.0, last=0), Phase(6, 1.0)))
    assert [phase.epochs for phase in gradual.within(4).phases] == [1, 3]
    assert [phase.epochs for phase in gradual.within(1).phases] == [1, 1]
    assert gradual.within(8) == gradual == gradual.within(20)
