"""timm's picture networks: a line of stages for each architecture; any other is a single stage."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from headstart.data.modalities import Preprocessing
from headstart.errors import SourceError
from headstart.sources.families import EXAMPLE, Output, PictureNetwork, families
from headstart.sources.staged import WHOLE, Backbone, stages_of

STAGES = {
    "convnext": "stem stages.*",
    "densenet": "stem=features.conv0,features.norm0,features.pool0 "
    "block1=features.denseblock1,features.transition1 "
    "block2=features.denseblock2,features.transition2 "
    "block3=features.denseblock3,features.transition3 "
    "block4=features.denseblock4,features.norm5",
    "efficientnet": "stem=conv_stem,bn1 blocks.* neck=conv_head,bn2",
    "inception_v3": "stem=Conv2d_1a_3x3,Conv2d_2a_3x3,Conv2d_2b_3x3,Pool1,"
    "Conv2d_3b_1x1,Conv2d_4a_3x3,Pool2 "
    "Mixed_5b Mixed_5c Mixed_5d Mixed_6a Mixed_6b Mixed_6c Mixed_6d Mixed_6e "
    "Mixed_7a Mixed_7b Mixed_7c",
    "mobilenetv3": "stem=conv_stem,bn1 blocks.*",
    "resnet": "stem=conv1,bn1,act1,maxpool layer1 layer2 layer3 layer4",
    "swin_transformer": "patch_embed layers.*,norm",
    "vgg": "features.*/MaxPool2d",
    "vision_transformer": "patch_embed blocks.*,norm",
}
"""Stages by timm's module; an architecture that is not here is a probe, or tuned whole."""


class TimmNetwork(PictureNetwork):
    """A network of timm without classifier."""

    def __init__(
        self, network: nn.Module, settings: Mapping[str, Any], pooled: bool, trunk: bool
    ) -> None:
        super().__init__(network, settings)
        self.pooled = pooled
        self.trunk = trunk

    def forward(self, pixels: Tensor) -> dict[str, Tensor]:
        """Map (rows, 3, height, width) uint8 to features: a vector a row, or a map."""
        network: Any = self.network
        values = self.standardised(pixels)
        if self.pooled and not self.trunk:
            return {"features": network(values)}
        found = as_map(network.forward_features(values), network)
        return {"features": found.mean((2, 3)) if self.pooled else found}


def as_map(features: Tensor, network: Any) -> Tensor:
    """Return features as (rows, channels, height, width), whatever a network's own layout is."""
    if features.ndim == 3:  # tokens: that of the class, then those of the patches
        patches = features[:, getattr(network, "num_prefix_tokens", 0) :]
        return patches.transpose(1, 2).unflatten(2, network.patch_embed.grid_size)
    last = getattr(network, "output_fmt", "NCHW") == "NHWC"
    return features.permute(0, 3, 1, 2) if last else features


class Timm:
    """Any network of timm.

    `config` is its ``name``, ``arguments`` of its own if need be, and ``trunk`` where the layers
    between the last map and the classifier (of VGG, say) are left out: the mean of the map is then
    the vector of a row.
    """

    modality = "image"

    def build(
        self, config: Mapping[str, Any], preprocessing: Preprocessing, output: Output = "pooled"
    ) -> Backbone:
        """Return the network without classifier; ``map`` leaves out the pooling.

        Raises
        ------
        SourceError
            If timm has no network of this name.
        """
        import timm

        arguments = {**config.get("arguments", {}), "num_classes": 0}
        try:
            network: Any = timm.create_model(config["name"], pretrained=False, **arguments)
        except Exception as error:  # it can fail in many ways
            raise SourceError(_not_built(config["name"], error)) from None
        trunk = bool(config.get("trunk"))
        if trunk:
            network.prune_intermediate_layers(1)
        settings = dict(preprocessing.settings)
        own = getattr(getattr(network, "patch_embed", None), "img_size", None)
        if own is not None:  # made for one size, whatever size a recipe asks for
            settings |= {"size": int(own[0]), "fixed": True}
        size = settings["size"] if "fixed" in settings else EXAMPLE
        pooled = output == "pooled"
        model = TimmNetwork(network, settings, pooled, trunk)
        line = STAGES.get(type(network).__module__.rsplit(".", 1)[-1], WHOLE)
        return Backbone(
            family="timm",
            config=config,
            model=model,
            stages=stages_of(model, line),
            example={"pixels": torch.zeros(2, 3, size, size, dtype=torch.uint8)},
            width=network.head_hidden_size if pooled and not trunk else network.num_features,
            preprocessing=replace(preprocessing, settings=settings),
        )


def _not_built(name: str, error: Exception) -> str:
    import timm

    if timm.is_model(name):
        return f"timm cannot build {name!r} as it is described: {error}"
    near = difflib.get_close_matches(name, timm.list_models(), n=3)
    hint = f" Did you mean {' or '.join(near)}?" if near else ""
    return f"timm has no network {name!r}.{hint}"


def pretrained_looks(name: str) -> dict[str, Any]:
    """Return the size, mean, … that timm knows of ``ARCHITECTURE.TAG``, or of its architecture.

    Raises
    ------
    SourceError
        If timm has no network of this name.
    """
    import timm

    architecture = name.partition(".")[0]
    if not timm.is_model(architecture):
        raise SourceError(_not_built(architecture, ValueError()))
    for known in (name, architecture):
        try:
            found = timm.get_pretrained_cfg(known, allow_unregistered=False)
        except RuntimeError:  # a tag of the user's own
            continue
        if found is not None:
            return dict(found.to_dict())
    return {}


families.register("timm", Timm())
