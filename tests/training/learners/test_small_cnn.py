"""Training the right-sized small network for pictures."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch

from headstart.models import restore
from headstart.recipes import Phase, Recipe
from headstart.training.learners import PASSES, learners, settle
from headstart.training.learners.small_cnn import _shifted

LEARNER = learners.get("small-cnn")
RECIPE = Recipe(
    "small-cnn",
    "image",
    "small",
    "small-cnn",
    rank=20,
    phases=(Phase(epochs=5, rate=3e-3),),
    batch=16,
    norm="adapting",
)


@pytest.fixture
def short(assign, squares):
    """An assignment of five epochs."""
    return assign(RECIPE, squares)


def test_it_learns(short):
    fitted = LEARNER.fit(short)
    held = short.validation
    outputs = fitted.model.outputs(held.data)
    assert short.metric.score(outputs, held.targets) > 0.9
    assert fitted.cut == "none" and not fitted.cut_short
    assert fitted.settled == {"epochs": len(fitted.history), "size": 24}
    best = max(fitted.history, key=lambda epoch: (epoch["score"], -epoch["validation_loss"]))
    loss = short.task.loss(outputs, torch.from_numpy(held.targets), short.spec)
    assert float(loss) == pytest.approx(best["validation_loss"], abs=0.05)


def test_restored_the_trained_model_answers_the_same(short, squares):
    model = LEARNER.fit(short).model
    assert torch.equal(restore(model.saved()).outputs(squares), model.outputs(squares))


def test_a_refit_takes_size_and_epochs_that_were_settled(short, refit):
    fitted = LEARNER.fit(refit(short, {"epochs": 2, "size": 28}))
    assert fitted.settled == {"epochs": 2, "size": 28} and fitted.model.size == 28
    assert len(fitted.history) == 2


def test_where_time_is_short_it_takes_as_many_epochs_as_there_is_time_for(short):
    hasty = replace(short, settled={PASSES: 2})
    assert len(LEARNER.fit(hasty).history) == 2
    assert LEARNER.forecast(hasty) < LEARNER.forecast(short)


def test_the_same_seed_gives_the_same_model(assign, squares):
    outputs = []
    for seed in (0, 0, 1):
        recipe = replace(RECIPE, phases=(Phase(1, 1e-3),))
        outputs.append(LEARNER.fit(assign(recipe, squares, seed=seed)).model.outputs(squares))
    assert torch.equal(outputs[0], outputs[1]) and not torch.equal(outputs[0], outputs[2])


def test_the_deadline_cuts_it_short(assign, squares, after):
    fitted = LEARNER.fit(assign(RECIPE, squares, late=after(6)))
    assert fitted.cut_short and len(fitted.history) == 1


def test_many_rows_are_passed_fewer_times(assign, squares):
    recipe = replace(RECIPE, phases=(Phase(60, 1e-3),), most_seen=54 * 20, patience=99)
    fitted = LEARNER.fit(assign(recipe, squares))
    assert len(fitted.history) == recipe.for_rows(54).epochs < 60


def test_the_forecast_grows_with_epochs(assign, squares):
    few, many = (
        LEARNER.forecast(assign(replace(RECIPE, phases=(Phase(n, 1e-3),)), squares))
        for n in (1, 400)
    )
    assert 0.5 < few < many


class Chance:
    """Draws the shifts it was told to."""

    def __init__(self, *shifts):
        self.shifts = shifts

    def integers(self, low, high, count):
        assert all(low <= shift < high for shift in self.shifts)
        return torch.tensor(self.shifts).numpy()


def test_pictures_are_shifted_with_their_edge_repeated():
    pixels = torch.arange(64.0).view(1, 1, 8, 8)
    assert torch.equal(_shifted(pixels, Chance(1, 1)), pixels)
    down = _shifted(pixels, Chance(0, 1))  # one row down
    assert torch.equal(down[:, :, 1:], pixels[:, :, :-1])
    assert torch.equal(down[:, :, 0], pixels[:, :, 0])
    right = _shifted(pixels, Chance(1, 2))  # one column to the left
    assert torch.equal(right[..., :-1], pixels[..., 1:])
    assert torch.equal(right[..., -1], pixels[..., -1])


def test_its_numerics_are_settled_and_handed_on(assign, squares, own_cache):
    assignment = assign(RECIPE, squares)
    settled = settle(assignment)
    assert set(settled) == {"precision", "layout"} and settled == settle(assignment)
    assert len(list(own_cache.glob("numerics/*.json"))) == 1
    fitted = LEARNER.fit(replace(assignment, settled={"precision": "f32", "layout": "contiguous"}))
    assert (fitted.settled["precision"], fitted.settled["layout"]) == ("f32", "contiguous")
