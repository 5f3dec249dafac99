"""Domain similarity, in worlds where it is known."""

from __future__ import annotations

import io
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from PIL import Image
from torch import nn

from headstart.digest import digest_bytes
from headstart.evidence.similarity import Similarity, similarity, statistics_apart
from headstart.features.shared import shared_extractor
from headstart.sources.opening import find_source

EXAMPLES = Path(__file__).parent.parent.parent / "examples"


@pytest.fixture
def network():
    """A layer of normalisation that expects mean 1 and variance 4 in the first of two channels."""
    layer = nn.BatchNorm2d(2)
    layer.running_mean.copy_(torch.tensor([1.0, 0.0]))
    layer.running_var.copy_(torch.tensor([4.0, 1.0]))

    class Network(nn.Module):
        def __init__(self):
            super().__init__()
            self.layer = layer

        def forward(self, pixels):
            return self.layer(pixels)

    return Network().eval()


def rows(mean, deviation, count=4000):
    values = torch.randn(count, 2, 4, 4, generator=torch.Generator().manual_seed(0))
    values = (values - values.mean((0, 2, 3), keepdim=True)) / values.std((0, 2, 3), keepdim=True)
    return values * torch.tensor(deviation).view(1, 2, 1, 1) + torch.tensor(mean).view(1, 2, 1, 1)


@pytest.mark.parametrize(
    ("mean", "deviation", "apart"),
    [
        ([1.0, 0.0], [2.0, 1.0], 0.0),
        ([3.0, 0.0], [2.0, 1.0], 0.5),  # (2 / 2)^2 in one of two channels
        ([1.0, 0.0], [4.0, 1.0], 0.5),  # deviations 2 apart, over 2
        ([1.0, 3.0], [2.0, 1.0], 4.5),
    ],
)
def test_the_distance_is_that_of_normal_distributions(network, mean, deviation, apart):
    found = statistics_apart(network, {"pixels": rows(mean, deviation)})
    assert found == pytest.approx(apart, abs=0.02)
    assert network.layer.running_mean.tolist() == [1.0, 0.0]


@pytest.fixture
def png():
    """A function that makes the content of a file out of pixels."""

    def make(pixels):
        buffer = io.BytesIO()
        Image.fromarray(np.asarray(pixels).astype(np.uint8)).save(buffer, "PNG")
        return buffer.getvalue()

    return make


def pictures(dataset_of, cells):
    digests = [
        digest_bytes(cell if isinstance(cell, bytes) else cell.read_bytes()) for cell in cells
    ]
    return dataset_of(cells, digests=digests, modality="image")


def test_product_photos_are_nearer_to_imagenet_than_noise(own_cache, dataset_of, png):
    random = np.random.default_rng(0)
    photos = sorted((EXAMPLES / "fashion").rglob("*.png"))[::40]
    noise = [png(random.integers(0, 256, (224, 224, 3))) for _ in photos]
    shuffled = [png(random.permutation(_pixels(photo)).reshape(224, 224, 3)) for photo in photos]
    extractor = shared_extractor(find_source("bundled/efficientnet-lite0"))
    near, *far = (
        similarity(pictures(dataset_of, cells), extractor) for cells in (photos, noise, shuffled)
    )
    assert near.score > 0.5
    assert max(found.score for found in far) < 0.1
    assert "unlike what it was trained on" in str(far[0])


def _pixels(photo):
    with Image.open(photo) as picture:
        return np.asarray(picture.convert("RGB").resize((224, 224))).reshape(-1, 3)


ENGLISH = [
    "The government said on Monday that it would raise the minimum wage next year.",
    "The match ended in a draw after both teams had missed a penalty in the second half.",
] * 6
FINNISH = [
    "Hallitus ilmoitti maanantaina korottavansa vähimmäispalkkaa ensi vuonna merkittävästi.",
    "Ottelu päättyi tasapeliin molempien joukkueiden epäonnistuttua rangaistuspotkussa.",
] * 6


def test_a_language_that_the_tokenizer_breaks_into_pieces_is_far(own_cache, dataset_of):
    extractor = shared_extractor(find_source("bundled/minilm"))
    near, far = (similarity(dataset_of(texts), extractor) for texts in (ENGLISH, FINNISH))
    assert near.score > 0.8 > 0.5 > far.score
    assert "pieces a word" in near.reason


def test_texts_without_spaces_are_not_judged(own_cache, dataset_of):
    extractor = shared_extractor(find_source("bundled/minilm"))
    texts = ["政府は月曜日に来年の最低賃金を引き上げると発表した。"] * 12
    found = similarity(dataset_of(texts), extractor)
    assert found.score is None
    assert str(found) == "unknown (the texts are not divided into words by spaces)"


def test_a_source_without_statistics_says_nothing(dataset_of, png):
    cells = [png(np.full((40, 40, 3), 7 * i)) for i in range(6)]
    extractor = SimpleNamespace(backbone=SimpleNamespace(model=nn.Conv2d(3, 4, 3)))
    found = similarity(pictures(dataset_of, cells), extractor)
    assert found.score is None
    assert str(found).startswith("unknown (the source carries no statistics")


def test_what_was_measured_is_kept(own_cache, dataset_of, png, monkeypatch):
    cells = [png(np.full((40, 40, 3), 7 * i)) for i in range(6)]
    extractor = shared_extractor(find_source("bundled/efficientnet-lite0"))
    first = similarity(pictures(dataset_of, cells), extractor)
    monkeypatch.setattr("headstart.evidence.similarity.statistics_apart", None)
    assert similarity(pictures(dataset_of, cells), extractor) == first


@pytest.mark.parametrize(
    ("score", "said"),
    [(0.9, "much like"), (0.5, "partly like"), (0.3, "little like"), (0.0, "unlike")],
)
def test_a_score_is_said_in_words(score, said):
    assert f"{score:.2f}: {said} what it was trained on" == str(Similarity(score, ""))
