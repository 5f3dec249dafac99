"""Numerics of training."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from headstart.training.precision import Numerics, all_numerics, usual

HALF = Numerics("bf16", "channels-last")
FULL = Numerics("f32", "contiguous")


@pytest.fixture
def processor(monkeypatch):
    """A function that gives the processor bfloat16 instructions, or takes them."""

    def make(has):
        monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: has)

    return make


@pytest.mark.parametrize(("has", "name", "many"), ((True, "bf16", 4), (False, "f32", 2)))
def test_bfloat16_is_usual_where_the_processor_has_it_and_else_not_even_tried(
    processor, has, name, many
):
    processor(has)
    assert usual() == Numerics(name, "channels-last")
    tried = all_numerics()
    assert tried[0] == usual() and len(set(tried)) == many
    assert has or {numerics.precision for numerics in tried} == {"f32"}


@pytest.mark.parametrize(("numerics", "dtype"), ((HALF, torch.bfloat16), (FULL, torch.float32)))
def test_products_have_the_precision_and_weights_stay_float32(numerics, dtype):
    layer, convolution = nn.Linear(4, 4), nn.Conv2d(4, 8, 1)
    with numerics.autocast():
        assert layer(torch.ones(1, 4)).dtype == dtype
        found = convolution(torch.ones(1, 4, 2, 2))
    assert found.dtype == dtype
    found.float().sum().backward()
    assert convolution.weight.dtype == convolution.weight.grad.dtype == torch.float32


def test_grouped_convolutions_are_computed_in_float32():
    torch.manual_seed(0)
    dense, depthwise = nn.Conv2d(8, 8, 3), nn.Conv2d(8, 8, 3, groups=8)
    value = torch.randn(2, 8, 5, 5)
    with HALF.autocast():
        found = depthwise(value)
        assert found.dtype == torch.float32
        assert depthwise(value.bfloat16()).dtype == torch.float32
        assert dense(found).dtype == torch.bfloat16
    assert torch.equal(found, depthwise(value))


def test_nothing_is_left_of_the_context():
    with HALF.autocast():
        pass
    assert nn.Conv2d(8, 8, 1)(torch.ones(1, 8, 2, 2)).dtype == torch.float32


@pytest.mark.parametrize(
    ("numerics", "format_"), ((HALF, torch.channels_last), (FULL, torch.contiguous_format))
)
def test_convolutions_and_maps_are_laid_out(numerics, format_):
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
    for first in (HALF, FULL):  # whatever they were before
        first.lay_out(network)
        numerics.lay_out(network)
        assert network[0].weight.is_contiguous(memory_format=format_)
        value = first.laid_out(torch.ones(2, 3, 5, 5))
        assert numerics.laid_out(value).is_contiguous(memory_format=format_)


def test_other_networks_and_values_stay_as_they_are():
    value = torch.ones(2, 5, 4)
    assert HALF.laid_out(value) is value
    network = nn.Linear(3, 3)
    HALF.lay_out(network)
    assert network.weight.is_contiguous()


def test_what_was_settled_is_used():
    assert Numerics.of(vars(FULL)) == FULL
    assert Numerics.of({"epochs": 3}) == usual()
