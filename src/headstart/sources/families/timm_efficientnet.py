"""timm's EfficientNets: stem, blocks, neck."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from headstart.data.modalities import Preprocessing
from headstart.sources.families import Output, families
from headstart.sources.staged import Backbone, Stage


class Pictures(nn.Module):
    """A timm network on uint8 pictures: normalising is part of the network."""

    mean: Tensor
    std: Tensor

    def __init__(self, network: nn.Module, mean: list[float], std: list[float]) -> None:
        super().__init__()
        self.network = network
        self.register_buffer("mean", 255 * torch.tensor(mean).view(1, 3, 1, 1), persistent=False)
        self.register_buffer("std", 255 * torch.tensor(std).view(1, 3, 1, 1), persistent=False)

    def forward(self, pixels: Tensor) -> dict[str, Tensor]:
        """Map (rows, 3, height, width) uint8 to the network's features."""
        return {"features": self.network((pixels.to(self.mean.dtype) - self.mean) / self.std)}


class TimmEfficientNet:
    """EfficientNet and its Lite variants; `config` is ``{"name": timm's name}``."""

    modality = "image"

    def build(
        self, config: Mapping[str, Any], preprocessing: Preprocessing, output: Output = "pooled"
    ) -> Backbone:
        """Return the network without classifier; ``map`` leaves out the pooling."""
        import timm

        network: Any = timm.create_model(
            config["name"],
            pretrained=False,
            num_classes=0,
            global_pool="avg" if output == "pooled" else "",
        )
        settings = preprocessing.settings
        model = Pictures(network, settings["mean"], settings["std"])
        blocks = [
            Stage(f"blocks.{i}", (f"network.blocks.{i}",)) for i in range(len(network.blocks))
        ]
        return Backbone(
            family="timm-efficientnet",
            config=config,
            model=model,
            stages=[
                Stage("stem", ("network.conv_stem", "network.bn1")),
                *blocks,
                Stage("neck", ("network.conv_head", "network.bn2")),
            ],
            example={"pixels": torch.zeros(2, 3, 70, 70, dtype=torch.uint8)},
            width=network.num_features,
            preprocessing=preprocessing,
        )


families.register("timm-efficientnet", TimmEfficientNet())
