"""Every family, every cut: prefix and suffix together are the whole network, and train like it.

A new family earns its coverage by a row in `ROWS`; a new bundled source needs none.
"""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch

from headstart.data.modalities import Preprocessing
from headstart.sources import staged
from headstart.sources.catalogue import sources
from headstart.sources.families import families
from headstart.sources.loading import load_source

LOOKS = {"size": 32, "mean": [0.4, 0.5, 0.6], "std": [0.2, 0.3, 0.25]}
SMALL_BERT = {
    "vocab_size": 50,
    "hidden_size": 32,
    "num_hidden_layers": 3,
    "num_attention_heads": 4,
    "intermediate_size": 48,
    "max_position_embeddings": 64,
}
SHORT_BERT = {**SMALL_BERT, "num_hidden_layers": 1, "hidden_size": 16}
ROWS = [
    ("timm-efficientnet", {"name": "test_efficientnet"}, "pooled"),
    ("timm-efficientnet", {"name": "test_efficientnet"}, "map"),
    ("bert", SMALL_BERT, "pooled"),
    ("bert", SMALL_BERT, "sequence"),
    ("bert", SHORT_BERT, "pooled"),
]
ANSWER = {"features", "layers"}
IDS = ["efficientnet-pooled", "efficientnet-map", "bert-pooled", "bert-sequence", "short-bert"]


def build(family, config, output, shaken):
    torch.manual_seed(0)
    settings = LOOKS if families.get(family).modality == "image" else {}
    backbone = families.get(family).build(config, Preprocessing(settings, {}), output)
    shaken(backbone.model)
    return backbone


@pytest.fixture(params=ROWS, ids=IDS)
def backbone(request, shaken):
    return build(*request.param, shaken)


def inputs_for(backbone, rows=3, size=40, seed=0):
    """Random pictures, or texts of different lengths with padding on the right."""
    random = np.random.default_rng(seed)
    if "pixels" in backbone.example:
        return {
            "pixels": torch.from_numpy(random.integers(0, 256, (rows, 3, size, size), np.uint8))
        }
    tokens = size // 2
    lengths = [max(1, tokens - 3 * i) for i in range(rows)]
    mask = torch.tensor([[int(t < length) for t in range(tokens)] for length in lengths])
    ids = torch.from_numpy(random.integers(1, 50, (rows, tokens))) * mask
    return {"input_ids": ids, "attention_mask": mask}


def assert_close(found, expected, scale=1e-5):
    assert found.shape == expected.shape
    assert float((found - expected).abs().max()) <= scale * float(expected.abs().max())


def assert_parity(backbone, inputs):
    with torch.no_grad():
        expected = backbone.model(**inputs)
        for cut in range(backbone.end + 1):
            found = backbone.suffix(cut).eval()(backbone.prefix(cut)(**inputs))
            for name, value in expected.items():
                assert torch.isfinite(found[name]).all(), f"cut {cut}"
                assert_close(found[name], value)


def test_the_table_has_every_family():
    assert {family for family, _, _ in ROWS} == set(families.names())


def test_suffix_after_prefix_equals_the_network_at_every_cut(backbone):
    assert_parity(backbone, inputs_for(backbone))


@pytest.mark.parametrize(("rows", "size"), [(1, 32), (2, 64), (11, 22), (32, 33)])
def test_parity_holds_for_rows_and_sizes_that_meet_those_of_the_example(backbone, rows, size):
    assert_parity(backbone, inputs_for(backbone, rows, size))


@pytest.mark.parametrize("name", sources.names())
def test_parity_holds_for_the_real_weights_of_every_source(name):
    backbone = load_source(sources.get(name)).backbone
    assert_parity(backbone, inputs_for(backbone, size=64))


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
    assert all(stood_in) and (stood_in or backbone.end == 2)


@pytest.mark.parametrize("training", [False, True], ids=["evaluating", "training"])
def test_gradients_and_a_step_equal_those_of_the_network_with_a_frozen_prefix(backbone, training):
    inputs = inputs_for(backbone, rows=6)
    for cut in range(backbone.end):
        suffix = backbone.suffix(cut).train(training)
        whole = copy.deepcopy(backbone.model).requires_grad_(True).train(training)
        for stage in backbone.stages[:cut]:
            for name in stage.modules:
                whole.get_submodule(name).eval().requires_grad_(False)
        ours, theirs = dict(suffix.model.named_parameters()), dict(whole.named_parameters())
        assert set(ours) == {name for name, p in theirs.items() if p.requires_grad}
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
        assert list(groups) == [stage.name for stage in backbone.stages[cut:]]
        grouped = [id(p) for group in groups.values() for p in group]
        assert len(grouped) == len(set(grouped))
        assert set(grouped) == {id(p) for p in suffix.model.parameters()}
    assert backbone.suffix(backbone.end).model.state_dict() == {}


def test_a_tuned_suffix_goes_back_into_the_backbone(backbone):
    inputs = inputs_for(backbone)
    with torch.no_grad():
        untouched = backbone.model(**inputs)["features"]
        for cut in range(backbone.end + 1):
            suffix = backbone.suffix(cut).eval()
            for value in suffix.model.state_dict().values():
                if value.is_floating_point():
                    value.mul_(1.01)
            tuned = backbone.with_suffix(suffix)
            boundary = backbone.prefix(cut)(**inputs)
            assert_close(tuned.model(**inputs)["features"], suffix(boundary)["features"])
            assert_close(
                tuned.prefix(cut)(**inputs)[next(iter(boundary))], next(iter(boundary.values()))
            )
            assert torch.equal(backbone.model(**inputs)["features"], untouched)


@pytest.mark.parametrize("cut", range(5))
def test_padding_changes_nothing_for_texts(shaken, cut):
    backbone = build("bert", SMALL_BERT, "pooled", shaken)
    short = torch.tensor([[7, 8, 9]])
    padded = torch.tensor([[7, 8, 9, 0, 0, 0, 0], [1, 2, 3, 4, 5, 6, 7]])

    def features(ids):
        inputs = {"input_ids": ids, "attention_mask": (ids != 0).long()}
        with torch.no_grad():
            return backbone.suffix(cut).eval()(backbone.prefix(cut)(**inputs))["features"]

    assert_close(features(padded)[:1], features(short))


def test_pictures_are_normalised_inside_the_network(shaken):
    backbone = build("timm-efficientnet", {"name": "test_efficientnet"}, "pooled", shaken)
    pixels = inputs_for(backbone)["pixels"]
    mean, std = (torch.tensor(LOOKS[name]).view(1, 3, 1, 1) for name in ("mean", "std"))
    with torch.no_grad():
        expected = backbone.model.network((pixels.float() / 255 - mean) / std)
        assert_close(backbone.model(pixels)["features"], expected)


@pytest.mark.parametrize(("family", "config", "output"), ROWS, ids=IDS)
def test_width_is_the_number_of_channels_of_the_features(family, config, output, shaken):
    backbone = build(family, config, output, shaken)
    with torch.no_grad():
        features = backbone.model(**inputs_for(backbone))["features"]
    axis = {"pooled": 1, "map": 1, "sequence": 2}[output]
    assert features.shape[axis] == backbone.width
    assert features.ndim == {"pooled": 2, "map": 4, "sequence": 3}[output]
