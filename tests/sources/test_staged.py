"""Cutting a backbone: on a small network with every trap in it (see also families/test_parity)."""

from __future__ import annotations

import copy

import numpy as np
import pytest
import torch
from torch import nn

from headstart.data.modalities import Preprocessing
from headstart.sources.staged import Backbone, Stage, pooled, summary


class Pair(nn.Module):
    """A stage that answers with two tensors, a constant, and nesting."""

    def __init__(self):
        super().__init__()
        self.conv = nn.Conv2d(6, 6, 1)

    def forward(self, x):
        y = self.conv(x)
        return {"main": y, "side": (y.mean((2, 3)), 3, None)}


class Tricky(nn.Module):
    """BatchNorm, an in-place activation outside its stages, a nested answer, a stage to skip."""

    def __init__(self):
        super().__init__()
        self.one = nn.Sequential(nn.Conv2d(3, 6, 3, stride=2), nn.BatchNorm2d(6))
        self.two = Pair()
        self.three = nn.Conv2d(6, 8, 1)
        self.scale = nn.Parameter(torch.ones(()))
        self.skip_two = False

    def forward(self, pixels):
        x = torch.relu(self.one(pixels.float() / 255 - 0.5))
        if self.skip_two:
            return {"features": self.three(x).mean((2, 3))}
        answer = self.two(x)
        torch.relu_(answer["main"])
        side, times, _ = answer["side"]
        x = answer["main"] * times + side[:, :, None, None]
        return {"features": self.scale * self.three(x).mean((2, 3))}


def stages(*names):
    return [Stage(name, (name,)) for name in names]


def tricky(names=("one", "two", "three")):
    torch.manual_seed(0)
    return Backbone(
        family="tricky",
        config={},
        model=Tricky(),
        stages=stages(*names),
        example={"pixels": torch.zeros(2, 3, 13, 13, dtype=torch.uint8)},
        width=8,
        preprocessing=Preprocessing({}, {}),
    )


@pytest.fixture
def backbone():
    return tricky()


@pytest.fixture
def pixels():
    random = np.random.default_rng(0).integers(0, 256, (5, 3, 13, 13), np.uint8)
    return torch.from_numpy(random)


def test_cuts_are_counted_from_before_the_first_stage_to_after_the_last(backbone):
    assert backbone.end == 3
    assert [backbone.cut_name(cut) for cut in range(4)] == ["one", "two", "three", "end"]
    assert [backbone.cut_before_last(n) for n in (0, 1, 3, 9)] == [3, 2, 0, 0]
    for cut in (-1, 4):
        with pytest.raises(ValueError, match=f"cut {cut} is not between 0 and 3"):
            backbone.prefix(cut)
        with pytest.raises(ValueError, match=f"cut {cut} is not between 0 and 3"):
            backbone.suffix(cut)


def test_stages_in_another_order_than_the_network_runs_them_are_refused():
    with pytest.raises(ValueError, match="stages of tricky are not in order of execution"):
        tricky(("two", "one", "three")).suffix(1)


@pytest.mark.parametrize("cut", range(4))
def test_suffix_after_prefix_is_the_network_and_leaves_the_boundary_as_it_was(
    backbone, pixels, cut
):
    with torch.no_grad():
        expected = backbone.model(pixels)["features"]
        boundary = backbone.prefix(cut)(pixels=pixels)
        before = {name: value.clone() for name, value in boundary.items()}
        suffix = backbone.suffix(cut).eval()
        for _ in range(2):  # in-place activations after the cut must not spoil a cached value
            assert torch.equal(suffix(boundary)["features"], expected)
    assert all(torch.equal(boundary[name], before[name]) for name in before)


def test_a_boundary_is_what_the_stage_answered_and_a_value_of_its_own(backbone, pixels):
    answers = []
    handle = backbone.model.one.register_forward_hook(lambda _m, _a, out: answers.append(out))
    boundary = backbone.prefix(1)(pixels=pixels)
    handle.remove()
    assert torch.equal(boundary["stage.0"], answers[0])
    assert boundary["stage.0"].data_ptr() != answers[0].data_ptr()


def test_all_tensors_of_a_nested_answer_travel_and_its_constants_do_not(backbone, pixels):
    boundary = backbone.prefix(2)(pixels=pixels)
    assert {name: tuple(value.shape) for name, value in boundary.items()} == {
        "stage.0": (5, 6, 6, 6),
        "stage.1": (5, 6),
    }


def test_stages_before_the_cut_hold_no_weights_in_a_suffix(backbone):
    names = set(backbone.suffix(2).model.state_dict())
    assert names == {"scale", "three.weight", "three.bias"}
    assert list(backbone.suffix(1).groups()) == ["two", "three", "others"]
    groups = backbone.suffix(2).groups()
    assert len(groups["three"]) == 2
    assert len(groups["others"]) == 1, "the scale lies in no stage"


def test_training_a_suffix_touches_neither_the_backbone_nor_another_suffix(backbone, pixels):
    before = copy.deepcopy(backbone.model.state_dict())
    one, other = backbone.suffix(0), backbone.suffix(0)
    one.train()
    one({"pixels": pixels})["features"].sum().backward()
    with torch.no_grad():
        for parameter in one.parameters():
            parameter.sub_(parameter.grad)
    for name, value in before.items():
        assert torch.equal(backbone.model.state_dict()[name], value)
        assert torch.equal(other.model.state_dict()[name], value)
    moved = one.model.state_dict()
    assert not torch.equal(moved["one.1.running_mean"], before["one.1.running_mean"])


def test_a_prefix_stays_frozen_bit_for_bit_even_when_told_to_train(backbone, pixels):
    prefix = backbone.prefix(2)
    before = copy.deepcopy(prefix.state_dict())
    prefix.train()
    assert not any(module.training for module in prefix.modules())
    assert not any(parameter.requires_grad for parameter in prefix.parameters())
    boundary = prefix(pixels=pixels)
    assert all(torch.equal(prefix.state_dict()[name], before[name]) for name in before)
    assert not boundary["stage.0"].requires_grad


def test_a_network_that_skips_the_stage_of_the_cut_is_not_used_in_silence(backbone, pixels):
    suffix = backbone.suffix(2).eval()
    boundary = backbone.prefix(2)(pixels=pixels)
    backbone.model.skip_two = suffix.model.skip_two = True
    with pytest.raises(RuntimeError, match="the stage two was never reached"):
        backbone.prefix(2)(pixels=pixels)
    with pytest.raises(RuntimeError, match="the stage two was skipped"):
        suffix(boundary)


def test_an_error_inside_a_prefix_leaves_no_hook_behind(backbone, pixels):
    with pytest.raises(RuntimeError):
        backbone.prefix(2)(pixels=pixels[:, :2])
    assert torch.is_tensor(backbone.model(pixels)["features"])


def test_at_the_end_the_middle_stages_are_summarised_beside_the_features(pixels):
    torch.manual_seed(0)
    network = nn.Sequential(*(nn.Conv2d(3, 3, 1) for _ in range(7)), nn.Flatten(2))

    class Seven(nn.Module):
        def __init__(self):
            super().__init__()
            self.network = network

        def forward(self, pixels):
            return {"features": self.network(pixels.float()).mean(2)}

    seven = Backbone(
        family="seven",
        config={},
        model=Seven(),
        stages=[Stage(f"s{i}", (f"network.{i}",)) for i in range(7)],
        example={"pixels": torch.zeros(2, 3, 5, 5)},
        width=3,
        preprocessing=Preprocessing({}, {}),
    )
    assert seven.middle() == ["network.3", "network.4"]
    found = seven.prefix(7)(pixels=pixels)
    with torch.no_grad():
        fourth = network[:4](pixels.float())
        expected = torch.cat([summary(fourth, None), summary(network[4](fourth), None)], 1)
    assert torch.equal(found["layers"], expected)
    assert torch.equal(found["features"], seven.model(pixels)["features"])


def test_summary_of_a_map_is_the_means_of_its_quarters_and_its_largest_value():
    value = torch.arange(9.0).view(1, 1, 3, 3)
    # quarters of two by two that share the middle row and column
    assert summary(value, None).tolist() == [[2, 3, 5, 6, 8]]
    two = torch.stack([value[0, 0, :2, :2], -value[0, 0, :2, :2]]).unsqueeze(0)
    assert summary(two, None).tolist() == [[0, 0, 1, -1, 3, -3, 4, -4, 4, 0]]


def test_summary_of_a_sequence_is_the_mean_of_its_tokens_without_padding():
    value = torch.tensor([[[1.0, 2.0], [3.0, 4.0], [99.0, 99.0]]])
    assert summary(value, torch.tensor([[1, 1, 0]])).tolist() == [[2, 3]]
    assert summary(value, torch.tensor([[0, 0, 0]])).tolist() == [[0, 0]]
    assert torch.equal(summary(value, None), value.mean(1))


def test_summary_of_anything_else_is_its_values():
    assert summary(torch.ones(2, 5), None).shape == (2, 5)


def test_pooled_features_are_means_over_positions():
    value = torch.arange(24.0).reshape(1, 2, 3, 4)
    assert pooled(value).tolist() == [[5.5, 17.5]]
    tokens = torch.tensor([[[1.0, 2], [3, 4], [99, 99]]])
    assert pooled(tokens, torch.tensor([[1, 1, 0]])).tolist() == [[2, 3]]
    assert torch.equal(pooled(torch.ones(2, 5), None), torch.ones(2, 5))
