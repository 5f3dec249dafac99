"""The bundled weights do what they were trained to do: a wrong order or colour would show."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from PIL import Image, ImageDraw
from sklearn.datasets import load_sample_image
from torch import nn

from headstart.digest import digest_data
from headstart.sources.bundled.smollm2 import halves
from headstart.sources.catalogue import sources
from headstart.sources.fetching import folder_of
from headstart.sources.loading import load_source, read_tensors

TEMPLES = {442, 663, 698, 832}
"""Bell cote, monastery, palace and stupa among the thousand classes of ImageNet."""


@pytest.fixture(scope="module")
def palace():
    """A function that gives scikit-learn's photograph of a Chinese palace at some size."""
    photograph = Image.fromarray(load_sample_image("china.jpg"))

    def sized(pixels):
        small = np.asarray(photograph.resize((pixels, pixels), Image.Resampling.BILINEAR))
        return torch.from_numpy(small.copy()).permute(2, 0, 1)[None]

    return sized


def test_the_next_word_is_foretold_by_the_language_model():
    from tokenizers import Tokenizer

    backbone = load_source(sources.get("bundled/smollm2")).backbone
    reads = Tokenizer.from_str(backbone.preprocessing.files["tokenizer.json"])
    network = backbone.model.network
    for text, expected in (("The capital of France is", " Paris"), ("Once upon a", " time")):
        ids = torch.tensor([reads.encode(text).ids])
        with torch.no_grad():
            hidden = network(input_ids=ids, attention_mask=torch.ones_like(ids)).last_hidden_state
        nearest = (network.embed_tokens.weight @ hidden[0, -1]).argmax()
        assert reads.decode([int(nearest)]) == expected


def test_halves_puts_pairs_that_are_rotated_together_a_half_head_apart():
    rows = torch.arange(8.0).unsqueeze(1)
    # two heads of four channels: (0, 1), (2, 3) and (4, 5), (6, 7) are the pairs
    assert halves(rows, 2).flatten().tolist() == [0, 2, 1, 3, 4, 6, 5, 7]


def test_the_edges_of_a_square_are_found_by_the_trunk_and_the_detector_it_came_with():
    picture = Image.new("RGB", (128, 128), (230, 220, 210))
    ImageDraw.Draw(picture).rectangle((40, 40, 90, 90), fill=(60, 80, 160))
    pixels = torch.from_numpy(np.asarray(picture).copy()).permute(2, 0, 1)[None]
    source = sources.get("bundled/vgg16-hed")
    model = load_source(source).backbone.model
    tensors = read_tensors(folder_of(source) / source.weights)
    sides, value = [], model.standardised(pixels)
    with torch.no_grad():
        for module in model.network.features:
            if isinstance(module, nn.MaxPool2d):
                side = _keras(tensors, f"dsn{len(sides) + 1}/vars/{{}}", value)
                sides.append(nn.functional.interpolate(side, (128, 128), mode="bilinear"))
            value = module(value)
        edges = _keras(tensors, "fuse/vars/{}", torch.cat(sides, 1)).sigmoid()[0, 0]
    assert edges[40:91, 40].mean() > 0.6 and edges[60:70, 60:70].mean() < 0.2


@pytest.mark.parametrize("number", [0, 1, 2])
def test_the_classifier_that_lies_in_the_file_knows_a_palace(palace, number):
    import timm

    source = sources.get(f"bundled/efficientnet-lite{number}")
    network = timm.create_model(source.config["name"]).eval()
    tensors = read_tensors(folder_of(load_source(source).source) / source.weights)
    network.load_state_dict(dict(zip(network.state_dict(), tensors.values(), strict=True)))
    with torch.no_grad():
        logits = network(palace(source.settings["size"]) / 127.5 - 1)
    assert int(logits.argmax()) in TEMPLES


def test_squeezenet_knows_a_palace_and_not_with_red_and_blue_exchanged(palace):
    source = sources.get("bundled/squeezenet")
    model = load_source(source).backbone.model
    tensors = read_tensors(folder_of(source) / source.weights)

    def classified(pixels):
        with torch.no_grad():
            found = model.network.features(model.standardised(pixels))
            return int(_keras(tensors, "conv10.{}", found).relu().mean((2, 3)).argmax())

    assert classified(palace(227)) in TEMPLES
    assert classified(palace(227).flip(1)) not in TEMPLES


def _keras(tensors, name, value):
    """Apply a layer of Keras, its kernel in (height, width, in, out)."""
    kernel, bias = tensors[name.format(0)].permute(3, 2, 0, 1), tensors[name.format(1)]
    return nn.functional.conv2d(value, kernel, bias)


def test_identity_is_that_of_the_files_as_they_are_here():
    source = sources.get("bundled/squeezenet")
    loaded = load_source(source)
    assert loaded.digest != digest_data([source.id, "pooled", source.files[0].sha256])
