"""torchvision's networks: the classifier is off, and the map is the one that is pooled."""

from __future__ import annotations

import pytest
import torch
from torchvision import models

from headstart.data.modalities import Preprocessing
from headstart.errors import SourceError
from headstart.sources.families import families

LOOKS = {"size": 64, "mean": [0.4, 0.5, 0.6], "std": [0.2, 0.3, 0.25]}


def build(name, output="pooled"):
    torch.manual_seed(0)
    return families.get("torchvision").build({"name": name}, Preprocessing(LOOKS, {}), output)


@pytest.mark.parametrize(
    ("name", "width"),
    [
        ("squeezenet1_1", 512),
        ("resnet18", 512),
        ("mobilenet_v3_small", 1024),
        ("inception_v3", 2048),
        ("vit_b_32", 768),
    ],
)
def test_the_features_are_what_the_classifier_took(name, width):
    backbone = build(name)
    assert backbone.width == width
    assert backbone.preprocessing.settings["size"] == (224 if "vit" in name else 64)
    taken = []
    torch.manual_seed(0)
    options = {"aux_logits": False, "init_weights": False} if "inception" in name else {}
    whole = models.get_model(name, weights=None, **options).eval()
    last = [m for m in whole.modules() if isinstance(m, torch.nn.Linear | torch.nn.Conv2d)][-1]
    last.register_forward_hook(lambda _m, given, _out: taken.append(given[0]))
    state = backbone.model.network.state_dict()
    whole.load_state_dict({**whole.state_dict(), **state})
    pixels = torch.randint(0, 256, (2, *backbone.example["pixels"].shape[1:]), dtype=torch.uint8)
    with torch.no_grad():
        found = backbone.model(pixels)["features"]
        whole(backbone.model.standardised(pixels))
    expected = taken[0].mean((2, 3)) if taken[0].ndim == 4 else taken[0]
    assert torch.allclose(found, expected, atol=1e-5)


@pytest.mark.parametrize("name", ["squeezenet1_1", "convnext_tiny", "swin_t"])
def test_the_mean_of_the_map_has_as_many_channels_as_its_width_says(name):
    backbone = build(name, "map")
    pixels = torch.zeros(2, 3, 96, 128, dtype=torch.uint8)
    with torch.no_grad():
        found = backbone.model(pixels)["features"]
    assert found.shape[1] == backbone.width and found.shape[2] < found.shape[3]


@pytest.mark.parametrize("name", ["squeezenet9", "fasterrcnn_resnet50_fpn", "mnasnet0_5", ""])
def test_what_is_no_classification_network_is_refused(name):
    with pytest.raises(SourceError, match="torchvision has no classification network"):
        build(name)


def test_a_network_without_a_map_says_so():
    with pytest.raises(SourceError, match="resnet18 of torchvision gives no map of features"):
        build("resnet18", "map")
