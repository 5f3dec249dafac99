"""Heads: what they read of a backbone's answer."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from headstart.errors import UsageError
from headstart.features.values import Values, concatenated
from headstart.models.heads import HeadSpec, Readout, heads, readout

FEATURES = torch.arange(6.0).view(2, 3)
LAYERS = 10 + torch.arange(4.0).view(2, 2)
WIDTHS = {"layers": 4, "features": 3}


@pytest.mark.parametrize(("kind", "width"), (("linear", 3), ("layers", 5)))
def test_before_training_all_outputs_tie(kind, width):
    head = HeadSpec(kind, width, 4).build()
    outputs = head({"features": FEATURES, "layers": LAYERS})
    assert torch.equal(outputs, torch.zeros(2, 4))


@pytest.mark.parametrize(
    ("kind", "read"), (("linear", FEATURES), ("layers", torch.cat([LAYERS, FEATURES], 1)))
)
def test_a_head_is_linear_in_what_it_reads(kind, read):
    head = HeadSpec(kind, read.shape[1], 2).build()
    torch.nn.init.normal_(head.linear.weight)
    torch.nn.init.normal_(head.linear.bias)
    value = {"features": FEATURES, "layers": LAYERS}
    assert torch.equal(readout(value, kind), read)
    expected = read @ head.linear.weight.T + head.linear.bias
    torch.testing.assert_close(head(value), expected)


def test_of_a_backbone_without_middle_stages_the_features_are_read():
    assert torch.equal(readout({"features": FEATURES}, "layers"), FEATURES)


def test_all_kinds_of_one_size_share_one_state():
    """So a solved head can be put into any of them."""
    states = [set(HeadSpec(kind, 4, 2).build().state_dict()) for kind in ("linear", "layers")]
    assert states == [{"linear.weight", "linear.bias"}] * 2


def test_an_unknown_kind_is_answered_with_the_known_ones():
    with pytest.raises(UsageError, match="no head called 'linaer'. Did you mean linear"):
        HeadSpec("linaer", 4, 2).build()
    assert "linear" in heads


@pytest.mark.parametrize("kind", ["linear", "layers"])
def test_a_readout_is_a_matrix_of_rows_that_are_taken_when_they_are_asked_for(kind):
    random = torch.Generator().manual_seed(0)
    boundary = {name: torch.randn(9, n, generator=random) for name, n in WIDTHS.items()}
    whole = readout(boundary, kind).numpy()
    found = Readout(concatenated([Values.of(boundary), Values.of(boundary)]), kind)
    assert found.shape == (18, whole.shape[1])
    assert np.array_equal(found.take(np.array([10, 3])), whole[[1, 3]])
    assert np.array_equal(np.concatenate(list(found.chunks())), np.concatenate([whole, whole]))
