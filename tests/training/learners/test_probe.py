"""The probe: a head on fixed features, solved for or trained."""

from __future__ import annotations

from dataclasses import dataclass, replace

import pytest
import torch

from headstart.features.extract import OutOfTime
from headstart.models.network import digest_weights
from headstart.recipes import Recipe
from headstart.tasks import linear, logistic
from headstart.tasks.classification import Classification
from headstart.training.learners import learners

PROBE = learners.get("probe")
RECIPE = Recipe("probe", "any", "source", "probe", rank=10, solved=True)


@dataclass(frozen=True)
class Unsolved(Classification):
    """Classification whose head has to be trained by descent."""

    def solve_linear(self, *given):
        return None


def unsolved(assignment):
    return replace(assignment, task=Unsolved("unsolved", assignment.task.modality))


def score(fitted, assignment):
    held = assignment.validation
    return assignment.metric.score(fitted.model.outputs(held.data), held.targets)


@pytest.mark.parametrize("head", ("", "layers"))
def test_it_learns_pictures(assign, squares, toy_image, head):
    assignment = assign(replace(RECIPE, head=head), squares, toy_image)
    before = digest_weights(toy_image.model)
    fitted = PROBE.fit(assignment)
    assert score(fitted, assignment) > 0.9
    assert fitted.cut == "end" and not fitted.cut_short
    assert fitted.settled["strength"] in linear.STRENGTHS
    assert digest_weights(toy_image.model) == before
    assert fitted.model.backbone is toy_image


def test_it_learns_texts(assign, headlines, toy_text):
    assignment = assign(RECIPE, headlines, toy_text)
    assert score(PROBE.fit(assignment), assignment) > 0.9


def test_the_layers_head_is_wider(assign, squares, toy_image):
    plain, deep = (
        PROBE.fit(assign(replace(RECIPE, head=head), squares, toy_image)).model.spec
        for head in ("", "layers")
    )
    assert (plain.kind, plain.width) == ("linear", toy_image.width)
    assert deep.kind == "layers" and deep.width > plain.width
    assert deep.outputs == plain.outputs == 3


def test_a_backbone_without_middle_stages_gets_the_layers_head_all_the_same(
    assign, headlines, toy_text
):
    assignment = assign(replace(RECIPE, head="layers"), headlines, toy_text)
    assert toy_text.middle() == []
    assert score(PROBE.fit(assignment), assignment) > 0.9


def test_a_refit_takes_the_strength_that_was_settled(
    assign, refit, squares, toy_image, monkeypatch
):
    assignment = assign(RECIPE, squares, toy_image)
    settled = PROBE.fit(assignment).settled
    monkeypatch.setattr(logistic._Fit, "cross_validated", None)
    again = PROBE.fit(refit(assignment, settled))
    assert again.settled == settled
    assert (again.model.outputs(squares).argmax(1).numpy() == assignment.task.encode(
        squares, assignment.spec
    )).mean() > 0.95  # fmt: skip


def test_pieces_of_texts_of_unequal_length_are_joined(assign, refit, headlines, toy_text):
    assignment = assign(RECIPE, headlines, toy_text)
    short = assignment.validation.data
    keep = [i for i in range(len(short)) if len(str(short.inputs[i]).split()) < 5]
    held = assignment.validation
    held = replace(held, data=short.take(keep), targets=held.targets[keep], units=held.units[keep])
    whole = refit(replace(assignment, validation=held), {"strength": 0.1})
    assert PROBE.fit(whole).model.outputs(headlines).shape == (90, 3)


@pytest.mark.parametrize(
    ("data", "backbone"), (("squares", "toy_image"), ("headlines", "toy_text"))
)
def test_a_head_without_solution_is_trained(assign, request, data, backbone):
    rows, backbone = request.getfixturevalue(data), request.getfixturevalue(backbone)
    assignment = unsolved(assign(RECIPE, rows, backbone))
    fitted = PROBE.fit(assignment)
    assert score(fitted, assignment) > 0.6  # by chance a third
    assert 1 <= fitted.settled["epochs"] == len(fitted.history) <= 30
    best = max(epoch["score"] for epoch in fitted.history)
    assert score(fitted, assignment) == pytest.approx(best, abs=0.05)


def test_a_trained_head_is_refitted_for_the_epochs_that_were_settled(
    assign, refit, squares, toy_image
):
    assignment = unsolved(assign(RECIPE, squares, toy_image))
    fitted = PROBE.fit(refit(assignment, {"epochs": 4}))
    assert fitted.settled == {"epochs": 4} and len(fitted.history) == 4


def test_a_trained_head_says_when_the_deadline_cut_it_short(assign, after, headlines, toy_text):
    # the values of both parts are asked about seven times, each step once
    assignment = unsolved(assign(RECIPE, headlines, toy_text, late=after(12)))
    fitted = PROBE.fit(assignment)
    assert fitted.cut_short and len(fitted.history) < 30


def test_without_time_for_the_features_there_is_no_model(assign, squares, toy_image):
    with pytest.raises(OutOfTime):
        PROBE.fit(assign(RECIPE, squares, toy_image, late=lambda: True))


def test_the_same_seed_gives_the_same_head(assign, headlines, toy_text):
    states = []
    for seed in (3, 3):
        assignment = unsolved(assign(RECIPE, headlines, toy_text, seed=seed))
        states.append(PROBE.fit(assignment).model.head.state_dict())
    assert all(torch.equal(states[0][name], states[1][name]) for name in states[0])


def test_the_forecast_grows_with_the_rows(assign, refit, squares, toy_image):
    assignment = assign(RECIPE, squares, toy_image)
    assert 0 < PROBE.forecast(assignment) < PROBE.forecast(refit(assignment, {}))


def test_the_forecast_sees_how_wide_the_middle_stages_are(assign, squares, toy_image, monkeypatch):
    monkeypatch.setattr("headstart.training.solving.MOST", 10)
    plain, deep = (
        PROBE.forecast(assign(replace(RECIPE, head=head), squares, toy_image))
        for head in ("", "layers")
    )
    assert plain < deep
