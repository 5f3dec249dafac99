"""Variations of a recipe, on a landscape whose summit is known."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from headstart.recipes import Phase, Recipe
from headstart.search.variations import (
    BODY,
    DECAY,
    RATE,
    SMOOTHING,
    Seen,
    behind,
    is_variation,
    varied,
)

BASE = Recipe(
    "finetune",
    "image",
    "source",
    "tune",
    30,
    stages=2,
    phases=(Phase(2, 1e-3, last=0), Phase(8, 2e-3, body=0.5)),
    decay=0.02,
)


def height(recipe):
    """Return a score that is best where the rate is twice the recipe's, whatever else."""
    return 0.9 - 0.1 * math.log2(recipe.phases[-1].rate / 4e-3) ** 2


def climbed(trials, seed=0):
    known = [Seen(BASE, height(BASE))]
    for _ in range(trials):
        found = varied(BASE, known, seed)
        known.append(Seen(found, height(found)))
    return known


def test_each_is_another_draw_and_the_first_nothing_else():
    recipes = [one.recipe for one in climbed(6)]
    assert [recipe.draw for recipe in recipes] == list(range(7))
    assert recipes[1] == replace(BASE, draw=1)


def test_variations_stay_within_their_bounds_and_change_nothing_else():
    known = climbed(8)
    assert all(one.recipe.phases[1].rate != 2e-3 for one in known[2:])
    for one in known[1:]:
        recipe = one.recipe
        assert RATE[0] <= recipe.phases[1].rate / 2e-3 <= RATE[1]
        assert recipe.phases[0].rate / 1e-3 == pytest.approx(recipe.phases[1].rate / 2e-3)
        assert BODY[0] <= recipe.phases[1].body / 0.5 <= BODY[1]
        assert DECAY[0] <= recipe.decay / 0.02 <= DECAY[1]
        assert SMOOTHING[0] <= recipe.smoothing <= SMOOTHING[1]
        assert [phase.epochs for phase in recipe.phases] == [2, 8]
        assert is_variation(recipe, BASE) and recipe != BASE


@pytest.mark.parametrize("decay", (0.0, 1.0))
def test_decay_is_varied_in_that_of_the_recipe(decay):
    base = replace(BASE, decay=decay)
    known = [Seen(base, 0.5), Seen(replace(base, draw=1), 0.6)]
    found = [varied(base, known, seed).decay for seed in range(8)]
    assert all(decay * DECAY[0] <= one <= decay * DECAY[1] for one in found)
    assert len(set(found)) == (8 if decay else 1)


def test_it_finds_the_summit():
    best = max(climbed(15), key=lambda one: one.score)
    assert best.score > 0.88 > height(BASE)


def test_what_is_asked_follows_from_what_is_known_and_the_seed():
    known = climbed(5)
    assert varied(BASE, known, 0) == varied(BASE, list(known), 0)
    assert varied(BASE, known, 0) != varied(BASE, known, 1)
    assert varied(BASE, known, 0) != varied(BASE, known[:-1], 0)


def test_what_is_far_behind_is_ended_and_what_leads_is_not():
    courses = [(0.5, 0.6, 0.7, 0.8), (0.5, 0.62, 0.72, 0.8), (0.4, 0.6, 0.7, 0.75)] * 2
    known = [Seen(BASE, course[-1], course) for course in courses]
    assert behind(BASE, known, [0.3, 0.4, 0.45])
    assert not behind(BASE, known, [0.5, 0.7, 0.8])
    assert not behind(BASE, known, [0.1]), "the first epoch says too little"
    assert not behind(BASE, known[:2], [0.3, 0.4, 0.45]), "there is too little to compare with"


def test_another_recipe_is_no_variation():
    other = Recipe("full", "image", "source", "tune", 50, stages=None, phases=BASE.phases)
    assert not is_variation(other, BASE)
    assert not is_variation(Recipe("probe", "any", "source", "probe", 10), BASE)
