"""torchvision's picture networks: a line of stages for SqueezeNet; any other is a single stage."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from headstart.data.modalities import Preprocessing
from headstart.errors import SourceError
from headstart.sources.families import EXAMPLE, Output, PictureNetwork, families
from headstart.sources.staged import WHOLE, Backbone, stages_of

STAGES = {"squeezenet": "stem=features.0,features.1,features.2 features.*/Fire"}
"""Stages by torchvision's module; an architecture that is not here is a probe, or tuned whole."""
FIXED = {"maxvit": 224, "vision_transformer": 224}
"""Pixels of networks that are made for one size, by module."""
_ONE_ANSWER: dict[str, Any] = {"aux_logits": False, "init_weights": False}
"""A second classifier would answer beside the last one in training; initialising takes minutes."""


class TorchvisionNetwork(PictureNetwork):
    """A network of torchvision without classifier."""

    def __init__(self, network: nn.Module, settings: Mapping[str, Any], pooled: bool) -> None:
        super().__init__(network, settings)
        self.pooled = pooled

    def forward(self, pixels: Tensor) -> dict[str, Tensor]:
        """Map (rows, 3, height, width) uint8 to features: a vector a row, or a map."""
        values = self.standardised(pixels)
        if self.pooled:
            return {"features": self.network(values)}
        return {"features": map_of(self.network, values)}


def map_of(network: Any, values: Tensor) -> Tensor:
    """Return the features of a network before its pooling, (rows, channels, height, width)."""
    found: Tensor = network.features(values)
    for name in ("norm", "permute"):  # of Swin, whose features have their channels last
        found = getattr(network, name, nn.Identity())(found)
    return found


class Torchvision:
    """The classification networks of torchvision (but MNASNet); `config` is the ``name``."""

    modality = "image"

    def build(
        self, config: Mapping[str, Any], preprocessing: Preprocessing, output: Output = "pooled"
    ) -> Backbone:
        """Return the network without classifier; ``map`` leaves out the pooling.

        Raises
        ------
        SourceError
            If torchvision has no classification network of this name, or it has no map to give.
        """
        network = _network(config["name"])
        width = _without_classifier(network)
        kind = type(network).__module__.rsplit(".", 1)[-1]
        settings = dict(preprocessing.settings)
        if kind in FIXED:
            settings |= {"size": FIXED[kind], "fixed": True}
        size = settings["size"] if "fixed" in settings else EXAMPLE
        pixels = torch.zeros(2, 3, size, size, dtype=torch.uint8)
        if output != "pooled":
            if not hasattr(network, "features"):
                raise SourceError(f"{config['name']} of torchvision gives no map of features.")
            with torch.no_grad():
                width = map_of(network.eval(), pixels.float()).shape[1]
        model = TorchvisionNetwork(network, settings, output == "pooled")
        return Backbone(
            family="torchvision",
            config=config,
            model=model,
            stages=stages_of(model, STAGES.get(kind, WHOLE)),
            example={"pixels": pixels},
            width=width,
            preprocessing=replace(preprocessing, settings=settings),
        )


def _network(name: str) -> nn.Module:
    from torchvision import models

    # the weights of an MNASNet cannot be loaded without a version that only a pickle would carry
    if name not in models.list_models(models) or name.startswith("mnasnet"):
        raise SourceError(f"torchvision has no classification network {name!r}.")
    options = _ONE_ANSWER if name in ("googlenet", "inception_v3") else {}
    network: nn.Module = models.get_model(name, weights=None, **options)
    return network


def _without_classifier(network: nn.Module) -> int:
    """Take the classifier off; return the number of channels that it took."""
    layers = {
        name: module
        for name, module in network.named_modules()
        if isinstance(module, nn.Linear | nn.Conv2d)
    }
    name, last = layers.popitem()
    if isinstance(last, nn.Conv2d):  # SqueezeNet classifies every place, then takes the mean
        network.classifier = nn.AdaptiveAvgPool2d(1)
        return last.in_channels
    parent, _, child = name.rpartition(".")
    setattr(network.get_submodule(parent), child, nn.Identity())
    return last.in_features


families.register("torchvision", Torchvision())
