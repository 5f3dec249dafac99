"""Every family, every cut: prefix and suffix together are the whole network, and train like it.

A new family earns its coverage by a row in `tiny.NETWORKS`; a new bundled source needs none.
"""

from __future__ import annotations

import copy

import pytest
import torch

from headstart.features.values import Values
from headstart.sources import staged
from headstart.sources.catalogue import sources
from headstart.sources.families import families
from headstart.sources.families import timm as timm_family
from headstart.sources.families import torchvision as torchvision_family
from headstart.sources.families.transformers import PICTURES, TEXTS
from headstart.sources.loading import load_source
from headstart.training.learners.tune import unpadded
from resume import Course, cell, recipes
from tiny import LOOKS, NETWORKS, build, inputs_for

WHOLE = (
    *("efficientnet", "swin", "vit", "vgg", "squeezenet", "hf vit", "dinov2"),
    *("bert", "gpt2", "t5"),
)
"""Networks that are also tried without pooling, as dense and token-wise tasks want them."""
ROWS = [(name, "pooled") for name in NETWORKS] + [
    (name, "sequence" if NETWORKS[name][0] == "transformers-text" else "map") for name in WHOLE
]
IDS = [f"{name}-{output}" for name, output in ROWS]
MANY = 3_000_000
"""Weights from which on each cut takes seconds."""
LONG = 100
"""More steps than training takes here."""


@pytest.fixture(params=ROWS, ids=IDS)
def backbone(request):
    return build(*request.param)


def assert_close(found, expected, scale=1e-5):
    assert found.shape == expected.shape
    assert float((found - expected).abs().max()) <= scale * float(expected.abs().max())


def weights_of(backbone):
    return sum(parameter.numel() for parameter in backbone.model.parameters())


def cuts_of(backbone):
    """Return all cuts; of a network of millions of weights a few, parity.py tries them all."""
    cuts = range(backbone.end + 1)
    if weights_of(backbone) < MANY:
        return list(cuts)
    return sorted({0, 1, backbone.end // 2, backbone.end})


def assert_parity(backbone, inputs, cuts=None):
    with torch.no_grad():
        expected = backbone.model(**inputs)
        for cut in cuts or range(backbone.end + 1):
            found = backbone.suffix(cut).eval()(backbone.prefix(cut)(**inputs))
            for name, value in expected.items():
                assert torch.isfinite(found[name]).all(), f"cut {cut}"
                assert_close(found[name], value)


def test_the_table_has_every_family():
    assert {family for family, _ in NETWORKS.values()} == set(families.names())


def test_the_table_has_every_line_of_stages():
    wrapped = [name for name, row in NETWORKS.items() if row[0] in ("timm", "torchvision")]
    built = [type(build(name).model.network) for name in wrapped]
    lines = {*timm_family.STAGES, *torchvision_family.STAGES}
    assert {cls.__module__.rsplit(".", 1)[-1] for cls in built} >= lines
    for kinds, family in ((TEXTS, "transformers-text"), (PICTURES, "transformers-image")):
        tried = {config["model_type"] for found, config in NETWORKS.values() if found == family}
        assert tried >= set(kinds)


def moving(backbone, cut, inputs):
    """Return the parameters outside every stage that move what crosses the cut, one by one."""
    if cut == 0:
        return []
    within = tuple(f"{name}." for stage in backbone.stages for name in stage.modules)
    found = []
    with torch.no_grad():
        before = backbone.prefix(cut)(**inputs)
        for name, parameter in backbone.model.named_parameters():
            if name.startswith(within):
                continue
            kept = parameter.clone()
            parameter.add_(torch.randn_like(parameter))
            after = backbone.prefix(cut)(**inputs)
            parameter.copy_(kept)
            if not all(torch.equal(before[key], after[key]) for key in before):
                found.append(name)
    return found


def test_suffix_after_prefix_equals_the_network_at_every_cut(backbone):
    assert_parity(backbone, inputs_for(backbone))


@pytest.mark.parametrize(("rows", "size"), [(1, 32), (2, 64), (11, 22), (32, 33)])
def test_parity_holds_for_rows_and_sizes_that_meet_those_of_the_example(backbone, rows, size):
    assert_parity(backbone, inputs_for(backbone, rows, size), cuts_of(backbone))


@pytest.mark.parametrize("name", sources.names())
def test_parity_holds_for_the_real_weights_of_every_source(name):
    backbone = load_source(sources.get(name)).backbone
    few = cuts_of(backbone) if backbone.end > 20 else None
    assert_parity(backbone, inputs_for(backbone, size=64), few)


def test_what_stands_in_for_stages_before_the_cut_is_never_used(backbone, monkeypatch):
    stood_in = []
    original = staged._Stub._stand_in

    def spy(self, leaf):
        value = original(self, leaf)
        if torch.is_tensor(value) and value.is_floating_point():
            stood_in.append(bool(value.isnan().all()))
        return value

    monkeypatch.setattr(staged._Stub, "_stand_in", spy)
    inputs = inputs_for(backbone)
    for cut in range(2, backbone.end):
        suffix = backbone.suffix(cut).eval()
        assert torch.isfinite(suffix(backbone.prefix(cut)(**inputs))["features"]).all()
    assert all(stood_in) and (stood_in or backbone.end <= 2)


@pytest.mark.parametrize("name", [n for n in NETWORKS if n != "joint"])
def test_training_that_was_killed_goes_on_to_the_same_end(name, tmp_path):
    backbone = build(name)
    modality = families.get(backbone.family).modality
    gradual = next(recipe for recipe in recipes(modality) if recipe.name == "gradual")
    course = Course(backbone, gradual, inputs_for(backbone, rows=5, most=5))
    # in the middle of an epoch, and at the end of one; of a large network in the middle of one
    found = cell(course, tmp_path, every=LONG if weights_of(backbone) > MANY else 3)
    assert found["killed_after_steps"] and not found["different"]


@pytest.mark.parametrize("training", [False, True], ids=["evaluating", "training"])
def test_gradients_and_a_step_equal_those_of_the_network_with_a_frozen_prefix(backbone, training):
    inputs = inputs_for(backbone, rows=6)
    some = {0, 1, 2, backbone.end // 2, backbone.end - 1} & {*cuts_of(backbone)} - {backbone.end}
    for cut in sorted(some):
        suffix = backbone.suffix(cut).train(training)
        whole = copy.deepcopy(backbone.model).requires_grad_(True).train(training)
        for name in moving(backbone, cut, inputs):
            whole.get_parameter(name).requires_grad_(False)
        for stage in backbone.stages[:cut]:
            for name in stage.modules:
                whole.get_submodule(name).eval().requires_grad_(False)
        ours, theirs = dict(suffix.model.named_parameters()), dict(whole.named_parameters())
        ours = {name: parameter for name, parameter in ours.items() if parameter.requires_grad}
        theirs = {name: parameter for name, parameter in theirs.items() if parameter.requires_grad}
        assert set(ours) == set(theirs)
        boundary = {"boundary": backbone.prefix(cut)(**inputs)}
        for model, parameters, given in ((suffix, ours, boundary), (whole, theirs, inputs)):
            torch.manual_seed(1)  # the same dropout on both sides
            optimiser = torch.optim.SGD(parameters.values(), lr=0.01)
            features = model(**given)["features"]
            (features * torch.linspace(-1, 1, features.numel()).view_as(features)).sum().backward()
            optimiser.step()
        trained = [name for name in ours if ours[name].grad is not None]
        assert trained == [name for name in ours if theirs[name].grad is not None]
        largest = max(float(theirs[name].grad.abs().max()) for name in trained)
        for name in trained:
            difference = float((ours[name].grad - theirs[name].grad).abs().max())
            assert difference <= 1e-5 * largest, f"gradient of {name} at cut {cut}"
        for name, value in suffix.model.state_dict().items():
            assert torch.allclose(value, whole.state_dict()[name], 1e-4, 1e-6 * largest), name


def test_names_are_those_of_the_network_and_groups_are_its_stages(backbone):
    whole = backbone.model.state_dict()
    for cut in range(backbone.end):
        suffix = backbone.suffix(cut)
        left = {
            name
            for name in whole
            if not any(
                name.startswith(f"{module}.")
                for stage in backbone.stages[:cut]
                for module in stage.modules
            )
        }
        assert set(suffix.model.state_dict()) == left
        groups = suffix.groups()
        assert [g for g in groups if g != "others"] == [s.name for s in backbone.stages[cut:]]
        grouped = [id(p) for group in groups.values() for p in group]
        assert len(grouped) == len(set(grouped))
        assert set(grouped) == {id(p) for p in suffix.model.parameters() if p.requires_grad}
    assert backbone.suffix(backbone.end).model.state_dict() == {}


def test_a_tuned_suffix_goes_back_into_the_backbone(backbone):
    inputs = inputs_for(backbone)
    with torch.no_grad():
        untouched = {name: value.clone() for name, value in backbone.model.state_dict().items()}
        for cut in cuts_of(backbone):
            suffix = backbone.suffix(cut).eval()
            for parameter in suffix.parameters():
                if parameter.requires_grad:
                    parameter.mul_(1.01)
            tuned = backbone.with_suffix(suffix)
            boundary = backbone.prefix(cut)(**inputs)
            assert_close(tuned.model(**inputs)["features"], suffix(boundary)["features"])
            assert_close(
                tuned.prefix(cut)(**inputs)[next(iter(boundary))], next(iter(boundary.values()))
            )
            for name, value in backbone.model.state_dict().items():
                assert torch.equal(value, untouched[name]), name


@pytest.mark.parametrize("cut", range(5))
def test_padding_changes_nothing_for_texts(cut):
    backbone = build("bert")
    short = torch.tensor([[7, 8, 9]])
    padded = torch.tensor([[7, 8, 9, 0, 0, 0, 0], [1, 2, 3, 4, 5, 6, 7]])

    def features(ids):
        inputs = {"input_ids": ids, "attention_mask": (ids != 0).long()}
        with torch.no_grad():
            return backbone.suffix(cut).eval()(backbone.prefix(cut)(**inputs))["features"]

    assert_close(features(padded)[:1], features(short))


@pytest.mark.parametrize(
    "name",
    [
        name
        for name, (family, _) in NETWORKS.items()
        if "image" not in families.get(family).modality
    ],
)
def test_short_rows_are_the_same_without_the_padding_of_longer_ones(name):
    """As training takes them from the values of all rows."""
    backbone = build(name)
    backbone.model.eval()
    rows, some = inputs_for(backbone, rows=5, size=60), torch.tensor([3, 4])
    for cut in range(backbone.end + 1):
        suffix = backbone.suffix(cut).eval()
        with torch.no_grad():
            values = dict(backbone.prefix(cut)(**rows)) if cut else rows
            whole = suffix({key: value.clone() for key, value in values.items()})["features"]
            found = suffix(unpadded(Values.of(values), some))["features"]
        assert_close(found, whole[some], scale=1e-4)


def test_pictures_are_normalised_inside_the_network():
    backbone = build("efficientnet")
    pixels = inputs_for(backbone)["pixels"]
    mean, std = (torch.tensor(LOOKS[name]).view(1, 3, 1, 1) for name in ("mean", "std"))
    with torch.no_grad():
        expected = backbone.model.network((pixels.float() / 255 - mean) / std)
        assert_close(backbone.model(pixels)["features"], expected)


@pytest.mark.parametrize(("name", "output"), ROWS, ids=IDS)
def test_width_is_the_number_of_channels_of_the_features(name, output):
    backbone = build(name, output)
    with torch.no_grad():
        features = backbone.model(**inputs_for(backbone))["features"]
    axis = {"pooled": 1, "map": 1, "sequence": 2}[output]
    assert features.shape[axis] == backbone.width
    assert features.ndim == {"pooled": 2, "map": 4, "sequence": 3}[output]
