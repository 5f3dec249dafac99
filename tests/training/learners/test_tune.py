"""Tuning: what moves, what stays, and what the tuned network answers."""

from __future__ import annotations

import json
from dataclasses import dataclass, replace

import numpy as np
import pytest
import torch

from headstart.features.extract import OutOfTime
from headstart.features.values import Values
from headstart.models import restore
from headstart.models.network import digest_weights
from headstart.recipes import Phase, Recipe
from headstart.tasks.classification import Classification
from headstart.training.descent import Diverged
from headstart.training.learners import learners, settle, tune
from headstart.training.learners.tune import Tuned, unpadded
from headstart.training.precision import usual

TUNE, PROBE = learners.get("tune"), learners.get("probe")
RECIPE = Recipe(
    "finetune",
    "any",
    "source",
    "tune",
    rank=30,
    stages=2,
    phases=(Phase(epochs=4, rate=3e-3, body=0.3),),
    solved=True,
)
CLOSE = 0.05 if usual().precision == "bf16" else 1e-4
"""How far outputs in bfloat16 may lie from those in float32."""


def state(backbone):
    return {name: value.clone() for name, value in backbone.model.state_dict().items()}


def moved(before, after, tell=lambda name: True):
    return {n for n in before if tell(n) and not torch.equal(before[n], after[n])}


def is_statistic(name):
    return name.endswith(("running_mean", "running_var", "num_batches_tracked"))


def score(fitted, assignment):
    held = assignment.validation
    return assignment.metric.score(fitted.model.outputs(held.data), held.targets)


@pytest.mark.parametrize(
    ("data", "source", "stages", "cut"),
    (
        ("squares", "toy_image", 2, "blocks.4"),
        ("squares", "toy_image", None, "stem"),
        ("headlines", "toy_text", 1, "layer.2"),
        ("headlines", "toy_text", 99, "embeddings"),
    ),
)
def test_it_learns_from_any_cut(assign, request, data, source, stages, cut):
    rows, backbone = request.getfixturevalue(data), request.getfixturevalue(source)
    before = state(backbone)
    assignment = assign(replace(RECIPE, stages=stages), rows, backbone)
    fitted = TUNE.fit(assignment)
    assert fitted.cut == cut and not fitted.cut_short
    assert score(fitted, assignment) > 0.5  # by chance a third
    assert set(fitted.settled) == {"strength", "epochs"}
    assert not moved(before, state(backbone)), "the source itself must stay as it is"
    tuned = {n.removeprefix("network.") for n in moved(before, state(fitted.model.backbone))}
    assert tuned and all(after_cut(name, backbone, cut) for name in tuned)


def after_cut(name, backbone, cut):
    """Say whether a weight belongs to a stage after `cut`."""
    names = [stage.name for stage in backbone.stages]
    later = backbone.stages[names.index(cut) :]
    return any(f"network.{name}".startswith(f"{m}.") for stage in later for m in stage.modules)


@pytest.mark.parametrize(("norm", "kept"), (("frozen", True), ("adapting", False)))
def test_frozen_statistics_stay_bit_for_bit(assign, squares, toy_image, norm, kept):
    before = state(toy_image)
    fitted = TUNE.fit(assign(replace(RECIPE, norm=norm), squares, toy_image))
    after = state(fitted.model.backbone)
    statistics = moved(before, after, is_statistic)
    assert (not statistics) == kept
    assert all("blocks.4" in name or "bn2" in name for name in statistics)
    scales = {"network.bn2.weight", "network.bn2.bias"}
    assert scales <= moved(before, after), "scale and shift of normalisation train all the same"


def test_a_phase_of_the_head_keeps_every_stage_bit_for_bit(assign, squares, toy_image):
    before = state(toy_image)
    recipe = replace(RECIPE, phases=(Phase(epochs=3, rate=1e-2, last=0),), solved=False)
    fitted = TUNE.fit(assign(recipe, squares, toy_image))
    assert not moved(before, state(fitted.model.backbone))
    assert fitted.model.head.linear.weight.abs().max() > 0


def test_it_starts_on_the_way_to_the_probe(assign, squares, toy_image):
    """With learning rates of almost nothing it answers as the probe does, and is less sure."""
    recipe = replace(RECIPE, phases=(Phase(1, 1e-12),))
    assignment = assign(recipe, squares, toy_image)
    outputs = [learner.fit(assignment).model.outputs(squares) for learner in (TUNE, PROBE)]
    found, probe = (said - said.mean(1, keepdim=True) for said in outputs)
    share = float((found * probe).sum() / (probe * probe).sum())
    assert 0.01 < share < 0.9
    torch.testing.assert_close(found, share * probe, atol=CLOSE, rtol=0)
    cold = replace(recipe, solved=False)
    even = TUNE.fit(assign(cold, squares, toy_image)).model.outputs(squares).softmax(1)
    torch.testing.assert_close(even, torch.full((72, 3), 1 / 3), atol=1e-3, rtol=0)


@pytest.mark.parametrize(("data", "source"), (("squares", "toy_image"), ("headlines", "toy_text")))
def test_the_model_answers_as_it_did_in_training(assign, request, data, source):
    rows, backbone = request.getfixturevalue(data), request.getfixturevalue(source)
    assignment = assign(RECIPE, rows, backbone)
    fitted = TUNE.fit(assignment)
    best = max(fitted.history, key=lambda epoch: (epoch["score"], -epoch["validation_loss"]))
    held = assignment.validation
    outputs = fitted.model.outputs(held.data)
    loss = assignment.task.loss(outputs, torch.from_numpy(held.targets), assignment.spec)
    assert float(loss) == pytest.approx(best["validation_loss"], abs=CLOSE)
    assert assignment.metric.score(outputs, held.targets) == pytest.approx(best["score"], abs=0.06)


@pytest.mark.parametrize(("data", "source"), (("squares", "toy_image"), ("headlines", "toy_text")))
def test_restored_the_tuned_model_answers_the_same(assign, request, data, source):
    rows, backbone = request.getfixturevalue(data), request.getfixturevalue(source)
    model = TUNE.fit(assign(RECIPE, rows, backbone)).model
    assert torch.equal(restore(model.saved()).outputs(rows), model.outputs(rows))


def test_views_are_computed_and_used(assign, squares, toy_image, monkeypatch):
    seen = []
    recipe = replace(RECIPE, views=2, augmentation="light")
    assignment = assign(recipe, squares, toy_image)
    extract = assignment.extractor.extract

    def spy(dataset, cut, **options):
        seen.append((len(dataset), options["view"].index, options["view"].policy))
        return extract(dataset, cut, **options)

    monkeypatch.setattr(assignment.extractor, "extract", spy)
    fitted = TUNE.fit(assignment)
    assert sorted(seen) == [(18, 0, "none"), (54, 0, "light"), (54, 1, "light"), (54, 2, "light")]
    plain = TUNE.fit(assign(RECIPE, squares, toy_image))
    assert moved(state(plain.model.backbone), state(fitted.model.backbone))


@pytest.mark.parametrize(("scale", "size"), ((1.0, 32), (1.5, 48)))
def test_the_scale_of_the_inputs_travels_with_the_model(assign, squares, toy_image, scale, size):
    fitted = TUNE.fit(assign(replace(RECIPE, scale=scale), squares, toy_image))
    assert fitted.model.backbone.preprocessing.settings["size"] == size
    assert toy_image.preprocessing.settings["size"] == 32


def test_random_weights_come_from_the_seed_and_not_from_the_source(assign, headlines, toy_text):
    recipe = replace(RECIPE, start="random", stages=None, solved=False, norm="adapting")
    still = replace(recipe, phases=(Phase(1, 1e-12),))
    fitted = [
        TUNE.fit(assign(still, headlines, toy_text, seed=seed)).model.backbone for seed in (5, 5, 6)
    ]
    digests = [digest_weights(backbone.model) for backbone in fitted]
    assert digests[0] == digests[1] != digests[2]
    assert digest_weights(toy_text.model) not in digests
    name = "network.encoder.layer.0.attention.self.query.weight"
    weights = [state(backbone)[name] for backbone in (fitted[0], toy_text)]
    assert not torch.allclose(*weights, atol=1e-3)


def test_the_same_seed_gives_the_same_model(assign, squares, toy_image):
    outputs = [
        TUNE.fit(assign(RECIPE, squares, toy_image, seed=seed)).model.outputs(squares)
        for seed in (0, 0, 1)
    ]
    assert torch.equal(outputs[0], outputs[1]) and not torch.equal(outputs[0], outputs[2])


def test_another_draw_is_another_model_of_the_same_seed(assign, squares, toy_image):
    outputs = [
        TUNE.fit(assign(replace(RECIPE, draw=draw), squares, toy_image)).model.outputs(squares)
        for draw in (0, 1, 1)
    ]
    assert torch.equal(outputs[1], outputs[2]) and not torch.equal(outputs[0], outputs[1])


def test_a_refit_takes_what_was_settled(assign, refit, headlines, toy_text):
    assignment = assign(RECIPE, headlines, toy_text)
    fitted = TUNE.fit(refit(assignment, {"strength": 0.01, "epochs": 2}))
    assert fitted.settled == {"strength": 0.01, "epochs": 2}
    assert [epoch["score"] for epoch in fitted.history] == [None, None]


def test_a_refit_in_fewer_epochs_takes_its_learning_rates_to_their_end(
    assign, refit, headlines, toy_text
):
    assignment = assign(RECIPE, headlines, toy_text)
    short = replace(
        assignment, recipe=replace(RECIPE, phases=(replace(RECIPE.phases[0], epochs=2),))
    )
    outputs = [
        TUNE.fit(refit(one, settled)).model.outputs(headlines)
        for one, settled in ((assignment, {"epochs": 2}), (short, {}), (assignment, {}))
    ]
    assert torch.equal(outputs[0], outputs[1]) and not torch.equal(outputs[0], outputs[2])


def test_a_trial_that_patience_ended_settles_the_epochs_it_had(assign, headlines, toy_text):
    patient = replace(RECIPE, phases=(Phase(epochs=40, rate=3e-3),), patience=1)
    fitted = TUNE.fit(assign(patient, headlines, toy_text))
    assert fitted.settled["epochs"] == len(fitted.history) < 40


def test_the_deadline_leaves_the_best_model_so_far(assign, after, headlines, toy_text):
    # values of both parts are asked about six times, each of three steps an epoch once
    assignment = assign(RECIPE, headlines, toy_text, late=after(13))
    fitted = TUNE.fit(assignment)
    assert fitted.cut_short and 0 < len(fitted.history) < 4
    assert score(fitted, assignment) > 0.6


def test_without_time_for_the_prefix_there_is_no_model(assign, squares, toy_image):
    with pytest.raises(OutOfTime):
        TUNE.fit(assign(RECIPE, squares, toy_image, late=lambda: True))


@dataclass(frozen=True)
class Unsolved(Classification):
    """Classification whose head has no solution."""

    def solve_linear(self, *given):
        return None


def test_a_head_without_solution_starts_fresh(assign, squares, toy_image):
    assignment = assign(RECIPE, squares, toy_image)
    fitted = TUNE.fit(replace(assignment, task=Unsolved("unsolved", "image")))
    assert set(fitted.settled) == {"epochs"}
    assert fitted.history[-1]["loss"] < fitted.history[0]["loss"]


@pytest.mark.parametrize("stages", (2, None))
def test_the_forecast_is_positive_and_grows_with_epochs(assign, squares, toy_image, stages):
    few, many = (
        TUNE.forecast(
            assign(
                replace(RECIPE, stages=stages, phases=(Phase(epochs, 1e-3),)),
                squares,
                toy_image,
            )
        )
        for epochs in (1, 200)
    )
    assert 1 < few < many


def test_columns_of_padding_are_left_out():
    mask = torch.tensor([[1, 1, 1, 1, 1], [1, 1, 0, 0, 0], [1, 1, 1, 0, 0]])
    boundary = {
        "stage.0": torch.arange(30.0).view(3, 5, 2).bfloat16(),
        "attention_mask": mask,
        "pooled": torch.ones(3, 7),
        "length": torch.tensor([5, 2, 3]),
    }
    found = unpadded(Values.of(boundary), torch.tensor([2, 1]))
    assert {name: tuple(value.shape) for name, value in found.items()} == {
        "stage.0": (2, 3, 2),
        "attention_mask": (2, 3),
        "pooled": (2, 7),
        "length": (2,),
    }
    assert found["stage.0"].dtype == torch.float32
    np.testing.assert_array_equal(found["stage.0"][1, 0], [10, 11])


FULL = {"precision": "f32", "layout": "contiguous"}
PERTURBED = replace(RECIPE, perturbations=(("mixup", 0.4), ("noise", 0.1)))


@pytest.mark.parametrize(("data", "source"), (("squares", "toy_image"), ("headlines", "toy_text")))
@pytest.mark.parametrize("stages", (2, None))
def test_what_is_best_on_the_machine_is_settled_once(assign, request, data, source, stages):
    rows, backbone = request.getfixturevalue(data), request.getfixturevalue(source)
    assignment = assign(replace(RECIPE, stages=stages, views=3), rows, backbone)
    settled = settle(assignment)
    assert set(settled) == {"precision", "layout", "at_once", "views"}
    assert json.loads(json.dumps(settled)) == settled == settle(assignment)
    assert settled["views"] == 3
    assert settled["at_once"] == RECIPE.batch


@pytest.mark.skipif(usual().precision != "bf16", reason="the processor has no bfloat16")
def test_a_network_that_does_not_compute_in_bfloat16_is_tuned_in_float32(
    assign, headlines, toy_text, own_cache, monkeypatch
):
    forward = Tuned.forward

    def masked(self, boundary):
        if self.numerics.precision == "bf16":
            raise RuntimeError("value cannot be converted to type c10::BFloat16 without overflow")
        return forward(self, boundary)

    monkeypatch.setattr(Tuned, "forward", masked)
    settled = settle(assign(RECIPE, headlines, toy_text))
    assert settled["precision"] == "f32" and settled["at_once"] == RECIPE.batch


def test_a_trial_computes_in_what_was_settled_and_hands_it_on(assign, refit, squares, toy_image):
    recipe = replace(RECIPE, views=2, augmentation="light")
    assignment = assign(recipe, squares, toy_image, settled={**FULL, "views": 1, "at_once": 8})
    fitted = TUNE.fit(assignment)
    assert {**FULL, "views": 1, "at_once": 8}.items() <= fitted.settled.items()
    assert [epoch["at_once"] for epoch in fitted.history] == [8] * len(fitted.history)
    again = TUNE.fit(refit(assignment, fitted.settled))
    assert again.settled == fitted.settled


def test_rates_are_ranged_where_the_recipe_says_so_and_once(
    assign, refit, squares, toy_image, monkeypatch
):
    phases = (Phase(epochs=15, rate=1.0),)
    wild = replace(RECIPE, phases=phases, solved=False, ranged=True)
    assignment = assign(wild, squares, toy_image, settled=FULL)
    plain = assign(replace(wild, ranged=False), squares, toy_image, settled=FULL)
    with pytest.raises(Diverged):
        TUNE.fit(plain)
    ranged = TUNE.fit(assignment)
    assert ranged.settled["rate"] < 0.25 and score(ranged, assignment) > 0.8

    monkeypatch.setattr(tune, "range_test", lambda *_given, **_more: pytest.fail("ranged again"))
    again = TUNE.fit(refit(assignment, ranged.settled))
    assert again.settled["rate"] == ranged.settled["rate"]


def test_ranging_is_in_the_forecast(assign, squares, toy_image, monkeypatch):
    monkeypatch.setattr(tune.Tune, "_pace", lambda *_given: tune._Pace(0.0, 1.0, 0.0))
    plain = assign(RECIPE, squares, toy_image, settled=FULL)
    ranged = replace(plain, recipe=replace(RECIPE, ranged=True))
    known = replace(ranged, settled={**FULL, "rate": 0.5})
    seconds = [TUNE.forecast(assignment) for assignment in (plain, ranged, known)]
    assert seconds[1] - seconds[0] == pytest.approx(tune.STEPS * 32, rel=0.01)
    assert seconds[2] == pytest.approx(seconds[0], rel=0.01)


def test_fewer_views_are_computed_where_fewer_were_settled(assign, squares, toy_image, monkeypatch):
    assignment = assign(replace(RECIPE, views=3, augmentation="light"), squares, toy_image)
    extract, seen = assignment.extractor.extract, []

    def spy(dataset, cut, **options):
        seen.append(options["view"].index)
        return extract(dataset, cut, **options)

    monkeypatch.setattr(assignment.extractor, "extract", spy)
    TUNE.fit(replace(assignment, settled={"views": 1}))
    assert sorted(seen) == [0, 0, 1]


def test_fewer_views_are_forecast_to_cost_less(assign, squares, toy_image, monkeypatch):
    assignment = assign(replace(RECIPE, views=4, augmentation="light"), squares, toy_image)
    place = f"{toy_image.cut_before_last(2)}@32"
    assignment.extractor.rates[place] = 10.0
    monkeypatch.setattr(assignment.extractor, "_note", lambda *_: None)
    seconds = [
        TUNE.forecast(replace(assignment, settled={**FULL, "views": views})) for views in (0, 1, 4)
    ]
    assert seconds[1] - seconds[0] == pytest.approx(54 / 10)
    assert seconds[2] - seconds[0] == pytest.approx(4 * 54 / 10)


def test_where_a_batch_does_not_fit_it_is_taken_in_parts(assign, squares, toy_image, monkeypatch):
    """The head refuses more than ten rows, in training and in evaluation."""
    forward, sizes = Tuned.features, []

    def greedy(self, boundary):
        sizes.append(len(next(iter(boundary.values()))))
        if sizes[-1] > 10:
            raise RuntimeError("DefaultCPUAllocator: can't allocate memory")
        return forward(self, boundary)

    exact = replace(RECIPE, phases=(Phase(2, 1e-3),))
    plain = TUNE.fit(assign(exact, squares, toy_image, settled=FULL))
    monkeypatch.setattr(Tuned, "features", greedy)
    fitted = TUNE.fit(assign(exact, squares, toy_image, settled=FULL))
    assert fitted.settled["at_once"] == 8 and max(sizes) > 10
    for ours, whole in zip(fitted.history, plain.history, strict=True):
        assert ours["loss"] == pytest.approx(whole["loss"], rel=1e-3)
        assert ours["validation_loss"] == pytest.approx(whole["validation_loss"], abs=1e-2)


def test_little_memory_is_seen_before_the_trial(assign, squares, toy_image, monkeypatch):
    assignment = assign(RECIPE, squares, toy_image)
    monkeypatch.setattr(tune, "available_memory", lambda: 1.0)
    assert settle(assignment)["at_once"] == 1
    monkeypatch.setattr(tune, "available_memory", lambda: None)
    assert settle(assignment)["at_once"] == RECIPE.batch


@pytest.mark.parametrize(("data", "source"), (("squares", "toy_image"), ("headlines", "toy_text")))
def test_it_learns_from_perturbed_values_and_the_seed_decides_how(assign, request, data, source):
    rows, backbone = request.getfixturevalue(data), request.getfixturevalue(source)
    first, second = (TUNE.fit(assign(PERTURBED, rows, backbone)) for _ in range(2))
    plain = TUNE.fit(assign(RECIPE, rows, backbone))
    assert not moved(state(first.model.backbone), state(second.model.backbone))
    assert moved(state(first.model.backbone), state(plain.model.backbone))
    assert score(first, assign(PERTURBED, rows, backbone)) > 0.5


def test_a_refit_is_perturbed_as_the_trial_was(assign, refit, headlines, toy_text):
    assignment = refit(assign(PERTURBED, headlines, toy_text), {"strength": 0.01, "epochs": 2})
    weights = [state(TUNE.fit(assignment).model.backbone) for _ in range(2)]
    assert not moved(*weights)


def test_blending_is_settled_and_a_refit_goes_as_far(assign, squares, toy_image, eager):
    assignment = assign(replace(RECIPE, blend=True), squares, toy_image)
    fitted = TUNE.fit(assignment)
    share = fitted.settled["blend"]
    assert 0 <= share <= 1
    plain = TUNE.fit(replace(assignment, recipe=RECIPE)).model.backbone
    source, found = state(toy_image), state(fitted.model.backbone)
    for name in moved(source, state(plain), lambda name: not is_statistic(name)):
        between = torch.lerp(source[name], state(plain)[name], share)
        torch.testing.assert_close(found[name], between, atol=1e-4, rtol=1e-3)
    again = TUNE.fit(replace(assignment, validation=None, settled=fitted.settled))
    assert again.settled["blend"] == share
