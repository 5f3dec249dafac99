"""Precision of training."""

from __future__ import annotations

import pytest
import torch
from torch import nn

from headstart.training import precision


@pytest.mark.parametrize(("has", "name"), ((True, "bf16"), (False, "f32")))
def test_products_are_bfloat16_where_the_processor_has_them(monkeypatch, has, name):
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: has)
    precision.precision.cache_clear()
    try:
        layer = nn.Linear(4, 4)
        with precision.autocast():
            found = layer(torch.ones(1, 4))
        assert precision.precision() == name
        assert found.dtype == (torch.bfloat16 if has else torch.float32)
        assert layer.weight.dtype == torch.float32
    finally:
        precision.precision.cache_clear()


def test_convolutions_and_maps_are_laid_out_channels_last():
    last = torch.channels_last
    network = nn.Sequential(nn.Conv2d(3, 4, 3), nn.ReLU())
    precision.lay_out(network)
    assert network[0].weight.is_contiguous(memory_format=last)
    assert precision.laid_out(torch.ones(2, 3, 5, 5)).is_contiguous(memory_format=last)


def test_other_networks_and_values_stay_as_they_are():
    value = torch.ones(2, 5, 4)
    assert precision.laid_out(value) is value
    network = nn.Linear(3, 3)
    precision.lay_out(network)
    assert network.weight.is_contiguous()
