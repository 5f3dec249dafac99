"""A network that tells voices apart (Wan et al., Generalized End-to-End Loss, ICASSP 2018)."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from headstart.data.modalities import Preprocessing
from headstart.sources.families import Output, families
from headstart.sources.staged import Backbone, Stage, as_features

FRAMES = 160
"""Of a window, of 10 milliseconds each: each window is heard by itself, as in pre-training."""
COVERED = 120
"""Frames that a window after the first one has at least."""
BANDS = 40
_WINDOWS = 2


class Layer(nn.Module):
    """An LSTM that begins anew with each window."""

    def __init__(self, inputs: int, width: int) -> None:
        super().__init__()
        self.lstm = nn.LSTM(inputs, width, batch_first=True)

    def forward(self, hidden: Tensor) -> Tensor:
        """Map (rows, windows x `FRAMES`, inputs) to (rows, windows x `FRAMES`, width)."""
        heard, _ = self.lstm(hidden.reshape(-1, FRAMES, hidden.shape[2]))
        found: Tensor = heard.reshape(hidden.shape[0], -1, heard.shape[2])
        return found


class SpeakerNetwork(nn.Module):
    """Layers of LSTM; a voice is the mean of what is known of it at the end of each window."""

    def __init__(self, width: int, layers: int, pooling: bool) -> None:
        super().__init__()
        self.layers = nn.ModuleList(Layer(width if i else BANDS, width) for i in range(layers))
        self.linear = nn.Linear(width, width)
        self.pooling = pooling

    def forward(self, energy: Tensor, attention_mask: Tensor) -> dict[str, Tensor]:
        """Map energies to features: (rows, width) of length one, or (rows, frames, width).

        Parameters
        ----------
        energy
            (rows, windows x `FRAMES`, `BANDS`).
        attention_mask
            (rows, windows x `FRAMES`), zero where there is no window.
        """
        hidden = energy[:, : attention_mask.shape[1]]
        for layer in self.layers:
            hidden = layer(hidden)
        if not self.pooling:
            return as_features(self._known(hidden), attention_mask, pooling=False)
        there = attention_mask[:, FRAMES - 1 :: FRAMES].unsqueeze(-1).to(hidden.dtype)
        ends = nn.functional.normalize(self._known(hidden[:, FRAMES - 1 :: FRAMES]), dim=2)
        return {"features": nn.functional.normalize((ends * there).sum(1), dim=1)}

    def _known(self, hidden: Tensor) -> Tensor:
        known: Tensor = torch.relu(self.linear(hidden))
        return known


class Speakers:
    """`config` has the ``width`` and the number of ``layers``."""

    modality = "audio"

    def build(
        self, config: Mapping[str, Any], preprocessing: Preprocessing, output: Output = "pooled"
    ) -> Backbone:
        """Return the network with random weights."""
        width, layers = int(config["width"]), int(config["layers"])
        settings = {
            "front": "energy",
            "bands": BANDS,
            "first": COVERED,
            "reach": FRAMES,
            "step": FRAMES,
            "each": FRAMES,
            **preprocessing.settings,
        }
        names = [f"layers.{i}" for i in range(layers)]
        stages = [Stage(name, (name,)) for name in names]
        tokens = _WINDOWS * FRAMES
        return Backbone(
            family="speakers",
            config=config,
            model=SpeakerNetwork(width, layers, output == "pooled"),
            stages=[*stages[:-1], Stage(names[-1], (names[-1], "linear"))],
            example={
                "energy": torch.rand(2, tokens, BANDS),
                "attention_mask": torch.ones(2, tokens, dtype=torch.int64),
            },
            width=width,
            preprocessing=Preprocessing(settings, {}),
            kept=("attention_mask",),
        )


families.register("speakers", Speakers())
