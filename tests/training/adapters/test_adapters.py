"""Adapters: what of a network trains, and that nothing else moves."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import nn

from headstart.recipes import Phase, Recipe
from headstart.sources.ctc import Ctc
from headstart.training.adapters import adapters
from headstart.training.learners import learners, refused
from headstart.training.learners.tune import Tuned
from headstart.training.plan import HEAD
from headstart.training.precision import Numerics

RECIPE = Recipe(
    "adapted",
    "any",
    "source",
    "tune",
    rank=30,
    stages=2,
    phases=(Phase(epochs=12, rate=1e-2),),
    solved=True,
)
PAIRS = [
    ("toy_text", "biases"),
    ("toy_text", "norms"),
    ("toy_text", "lora"),
    ("toy_text", "dora"),
    ("toy_text", "ia3"),
    ("toy_image", "biases"),
    ("toy_image", "norms"),
]


def some(backbone):
    """Return boundary values after which the last two stages come, and the suffix."""
    cut = backbone.end - 2
    with torch.no_grad():
        boundary = backbone.prefix(cut)(**backbone.example)
    return boundary, backbone.suffix(cut)


def answer(suffix, boundary):
    suffix.eval()
    with torch.no_grad():
        return suffix(boundary)["features"]


@pytest.mark.parametrize("name", ("lora", "biases"))
def test_a_new_head_that_writes_letters_trains_whole(toy_text, name):
    head = Ctc(toy_text.width, "abc")
    numerics = Numerics("f32", "contiguous")
    tuned = Tuned(some(toy_text)[1], head, numerics, adapters.get(name))
    assert [id(p) for p in tuned.groups()[HEAD]] == [id(p) for p in head.parameters()]


@pytest.mark.parametrize(("source", "name"), PAIRS)
def test_what_trains_is_small_and_within_the_stages(request, source, name):
    boundary, suffix = some(request.getfixturevalue(source))
    before = answer(suffix, boundary)
    whole = sum(p.numel() for p in suffix.model.parameters())
    found = adapters.get(name).attach(suffix.model, suffix.places)
    assert 0 < sum(p.numel() for p in found) < 0.5 * whole
    assert all(p.requires_grad for p in found)
    torch.testing.assert_close(answer(suffix, boundary), before, atol=1e-5, rtol=1e-4)


@pytest.mark.parametrize(("source", "name"), PAIRS)
def test_what_was_learnt_is_in_the_network_s_own_weights(request, source, name):
    boundary, suffix = some(request.getfixturevalue(source))
    names = list(suffix.model.state_dict())
    adapter = adapters.get(name)
    for parameter in adapter.attach(suffix.model, suffix.places):
        nn.init.normal_(parameter, std=0.1)
    moved = answer(suffix, boundary)
    adapter.merge(suffix.model)
    assert list(suffix.model.state_dict()) == names
    torch.testing.assert_close(answer(suffix, boundary), moved, atol=1e-4, rtol=1e-3)


@pytest.mark.parametrize(("source", "name"), PAIRS)
def test_tuning_moves_what_the_adapter_says_and_nothing_else(
    request, assign, source, name, headlines, squares
):
    backbone = request.getfixturevalue(source)
    rows = headlines if source == "toy_text" else squares
    assignment = assign(replace(RECIPE, adapter=name), rows, backbone)
    assert refused(assignment) == ""
    fitted = learners.get("tune").fit(assignment)
    before, after = backbone.model.state_dict(), fitted.model.backbone.model.state_dict()
    assert before.keys() == after.keys()
    moved = {key for key in before if not torch.equal(before[key], after[key])}
    assert moved
    own = {"biases": ("bias",), "norms": ("weight", "bias")}.get(name, ("weight", "bias"))
    assert all(key.endswith(own) for key in moved)
    if name == "norms":
        assert all("norm" in key.lower() or "bn" in key for key in moved)
    held = assignment.validation
    assert assignment.metric.score(fitted.model.outputs(held.data), held.targets) > 0.4


def test_a_network_without_linear_layers_has_no_low_rank_updates(assign, squares, toy_image):
    assignment = assign(replace(RECIPE, adapter="lora"), squares, toy_image)
    assert refused(assignment) == "the network has no parts for lora"
