"""The right-sized small network for speech: convolutions over log-mel energies.

It is never pre-trained: it is what a recogniser without a head start is.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from headstart.data.modalities import Preprocessing
from headstart.sources.families import Output, families
from headstart.sources.staged import Backbone, Stage, as_features

WIDTH, DEPTH, KERNEL = 96, 5, 9
"""A position is made of what is 800 milliseconds around it on either side."""
BANDS, STRIDE = 80, 4
"""A position is of 40 milliseconds: fast speech has 20 letters a second."""
_EXAMPLE = 23


class Block(nn.Module):
    """A convolution over time, added to what it is given; padding stays zero."""

    def __init__(self) -> None:
        super().__init__()
        self.norm = nn.LayerNorm(WIDTH)
        self.conv = nn.Conv1d(WIDTH, WIDTH, KERNEL, padding=KERNEL // 2)
        self.dropout = nn.Dropout(0.1)

    def forward(self, hidden: Tensor, there: Tensor) -> Tensor:
        """Map (rows, positions, width) to the same; `there` (rows, positions, 1) is the mask."""
        changed = nn.functional.gelu(self.conv((self.norm(hidden) * there).transpose(1, 2)))
        found: Tensor = (hidden + self.dropout(changed.transpose(1, 2))) * there
        return found


class Recogniser(nn.Module):
    """Energies of a position, then `DEPTH` convolutions."""

    def __init__(self, pooling: bool) -> None:
        super().__init__()
        self.stem = nn.Linear(STRIDE * BANDS, WIDTH)
        self.blocks = nn.ModuleList([Block() for _ in range(DEPTH)])
        self.norm = nn.LayerNorm(WIDTH)
        self.pooling = pooling

    def forward(self, mel: Tensor, attention_mask: Tensor) -> dict[str, Tensor]:
        """Map (rows, positions, `STRIDE` x `BANDS`) to (rows, positions, width), or pooled."""
        there = attention_mask.unsqueeze(-1).to(mel.dtype)
        hidden = self.stem(mel) * there
        for block in self.blocks:
            hidden = block(hidden, there)
        return as_features(self.norm(hidden), attention_mask, self.pooling)


class Recognisers:
    """The one size there is."""

    modality = "audio"

    def build(
        self, config: Mapping[str, Any], preprocessing: Preprocessing, output: Output = "pooled"
    ) -> Backbone:
        """Return the network with random weights."""
        model = Recogniser(output == "pooled")
        settings = {"bands": BANDS, "stride": STRIDE, **preprocessing.settings}
        return Backbone(
            family="recogniser",
            config=dict(config),
            model=model,
            stages=[Stage("stem", ("stem",)), *_blocks()],
            example={
                "mel": torch.zeros(2, _EXAMPLE, STRIDE * BANDS),
                "attention_mask": torch.ones(2, _EXAMPLE, dtype=torch.int64),
            },
            width=WIDTH,
            preprocessing=Preprocessing(settings, {}),
            kept=("attention_mask",),
        )


def _blocks() -> list[Stage]:
    """Return a stage a block, the norm in the last one."""
    names = [f"blocks.{number}" for number in range(DEPTH)]
    *first, last = (Stage(name, (name,)) for name in names)
    return [*first, Stage(last.name, (*last.modules, "norm"))]


families.register("recogniser", Recognisers())
