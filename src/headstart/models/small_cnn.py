"""The right-sized small model for pictures: a convolutional network of a few layers."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from headstart.data.dataset import Dataset
from headstart.data.modalities import Preprocessing
from headstart.features.extract import inputs
from headstart.models import Model, Response, Saved, model_kinds

_BATCH = 256


def small_cnn(width: int, outputs: int) -> nn.Sequential:
    """Return four 3x3 convolutions (width, width, 2 width, 4 width) with pooling, then linear."""

    def block(a: int, b: int, pool: bool) -> list[nn.Module]:
        layers: list[nn.Module] = [
            nn.Conv2d(a, b, 3, padding=1, bias=False),
            nn.BatchNorm2d(b),
            nn.ReLU(inplace=True),
        ]
        return [*layers, nn.MaxPool2d(2)] if pool else layers

    return nn.Sequential(
        *block(3, width, False),
        *block(width, width, True),
        *block(width, 2 * width, True),
        *block(2 * width, 4 * width, False),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Dropout(0.2),
        nn.Linear(4 * width, outputs),
    )


def right_size(shorter_sides: list[int], scale: float = 1.0) -> int:
    """Return the input size for pictures of these sizes: their median, within 24 to 64 pixels.

    `scale` is the share of the 64 that it may be at most.
    """
    median = sorted(shorter_sides)[len(shorter_sides) // 2]
    return int(max(24, min(64 * scale, round(median / 4) * 4)))


class SmallCnn(Model):
    """A small convolutional network on pictures of `size` pixels.

    Of a recording it looks at a picture of its spectrum; `modality` says which part of a row it is.
    """

    def __init__(
        self,
        network: nn.Sequential,
        size: int,
        width: int,
        outputs: int,
        modality: str = "image",
    ) -> None:
        # always laid out alike: layouts differ in how they round
        self.network = network.eval().to(memory_format=torch.channels_last)
        self.size = size
        self.width = width
        self.out = outputs
        self.modality = modality

    @property
    def preprocessing(self) -> Preprocessing:
        """Return how pictures are made ready: resized, nothing else."""
        return Preprocessing({"size": self.size}, {})

    def respond(self, rows: Dataset) -> Response:
        """Return logits (rows, outputs), and what the last layer reads (rows, 4 width)."""
        found: list[Tensor] = []
        for some in inputs(rows.of(self.modality), self.preprocessing).chunks(_BATCH):
            with torch.no_grad():
                found.append(self.network[:-1](normalised(some["pixels"])))
        features = torch.cat(found)
        with torch.no_grad():
            return Response(self.network[-1](features), features)

    def saved(self) -> Saved:
        """Return the weights, the three numbers that make the architecture, and what it reads."""
        config = {
            "size": self.size,
            "width": self.width,
            "outputs": self.out,
            "modality": self.modality,
        }
        return Saved("small-cnn", config, self.network.state_dict())


def normalised(pixels: Tensor) -> Tensor:
    """Map uint8 pixels to about -2 … 2."""
    return (pixels.float() - 127.5) / 64.0


def restore_small_cnn(saved: Saved) -> SmallCnn:
    """Return a saved small network."""
    size, width, outputs = (int(saved.config[k]) for k in ("size", "width", "outputs"))
    network = small_cnn(width, outputs)
    network.load_state_dict(dict(saved.tensors))
    modality = saved.config.get("modality", "image")  # files of headstart 0.1 have none
    return SmallCnn(network, size, width, outputs, modality)


model_kinds.register("small-cnn", restore_small_cnn)
