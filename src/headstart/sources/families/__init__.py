"""Families of architectures: how each is built, and where its stages lie. One file each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Protocol

import torch
from torch import Tensor, nn

from headstart.data.modalities import Preprocessing
from headstart.registry import Registry
from headstart.sources.staged import Backbone

Output = Literal["pooled", "map", "sequence", "text"]
"""What a task wants of a backbone: a vector a row, a map (channels first), or a sequence; or a
sequence with what writes a text from it, where the network has such a part."""


EXAMPLE = 107
"""Pixels of the example of pictures: no layer of it is as large as a network has channels."""


class PictureNetwork(nn.Module):
    """A network on uint8 pictures: standardising them is part of it."""

    mean: Tensor
    std: Tensor

    def __init__(self, network: nn.Module, settings: Mapping[str, Any]) -> None:
        super().__init__()
        self.network = network
        for name in ("mean", "std"):
            value = 255 * torch.tensor(settings[name]).view(1, 3, 1, 1)
            self.register_buffer(name, value, persistent=False)

    def standardised(self, pixels: Tensor) -> Tensor:
        """Return uint8 pixels (rows, 3, height, width) as the network was trained to see them."""
        return (pixels.to(self.mean.dtype) - self.mean) / self.std


class Family(Protocol):
    """Builds backbones of one family with random weights; weights are loaded by name."""

    modality: str

    def build(
        self, config: Mapping[str, Any], preprocessing: Preprocessing, output: Output = "pooled"
    ) -> Backbone:
        """Return a backbone of this architecture, its weights random."""


families: Registry[Family] = Registry("family", __name__)
