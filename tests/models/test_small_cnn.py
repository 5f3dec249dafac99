"""The right-sized small model for pictures."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from headstart.models import restore
from headstart.models.small_cnn import SmallCnn, normalised, right_size, small_cnn


@pytest.mark.parametrize(
    ("sides", "size"),
    (
        ([28] * 5, 28),
        ([16, 16, 16], 24),
        ([24], 24),
        ([300, 500, 400], 64),
        ([30, 31, 500], 32),
        ([8, 40, 1000], 40),
    ),
)
def test_the_size_is_that_of_the_pictures_within_24_to_64(sides, size):
    assert right_size(sides) == size


@pytest.mark.parametrize(("sides", "size"), (([300], 32), ([28], 28), ([16], 24)))
def test_half_the_scale_halves_the_largest_size(sides, size):
    assert right_size(sides, 0.5) == size


@pytest.mark.parametrize("size", (24, 64))
def test_pictures_become_one_row_of_outputs(size):
    network = small_cnn(8, 5).eval()
    assert network(torch.zeros(2, 3, size, size)).shape == (2, 5)


def test_the_network_is_small():
    assert sum(p.numel() for p in small_cnn(32, 10).parameters()) < 150_000


def test_pixels_are_centred():
    found = normalised(torch.tensor([0, 255], dtype=torch.uint8))
    assert found.tolist() == pytest.approx([-2, 2], abs=0.01)


def test_outputs_are_those_of_the_network_on_resized_pictures(squares, monkeypatch):
    monkeypatch.setattr("headstart.models.small_cnn._BATCH", 32)  # three batches
    torch.manual_seed(0)
    model = SmallCnn(small_cnn(4, 3), 24, 4, 3)
    found = model.outputs(squares)
    assert found.shape == (72, 3)
    from PIL import Image

    pixels = np.asarray(Image.open(squares.inputs[40])).transpose(2, 0, 1)[None]
    with torch.no_grad():
        alone = model.network((torch.from_numpy(pixels.copy()).float() - 127.5) / 64)
    torch.testing.assert_close(found[40:41], alone, atol=1e-5, rtol=1e-5)
    features = model.respond(squares).features
    assert features.shape == (72, 16)
    with torch.no_grad():
        assert torch.equal(model.network[-1](features), found)


def test_restored_it_answers_the_same(squares):
    torch.manual_seed(0)
    model = SmallCnn(small_cnn(4, 3), 28, 4, 3)
    again = restore(model.saved())
    assert torch.equal(again.outputs(squares), model.outputs(squares))
    assert again.size == 28 and not again.network.training
    for network in (model.network, again.network):  # other layouts round otherwise
        assert network[0].weight.is_contiguous(memory_format=torch.channels_last)
