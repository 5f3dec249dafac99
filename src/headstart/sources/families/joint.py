"""Networks side by side, one for each kind of input in a row; their features are concatenated."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from headstart.data.dataset import TOGETHER
from headstart.data.modalities import Preprocessing
from headstart.errors import SourceError
from headstart.sources.families import Output, families
from headstart.sources.staged import WHOLE, Backbone, stages_of, summarised


class JointNetwork(nn.Module):
    """Some backbones, each on its own inputs."""

    def __init__(self, parts: Sequence[Backbone]) -> None:
        super().__init__()
        self.network = nn.ModuleList(part.model for part in parts)
        self._inputs = [tuple(part.example) for part in parts]
        self._middle = [part.middle() for part in parts]

    def forward(self, **inputs: Tensor) -> dict[str, Tensor]:
        """Map the inputs of all parts to their ``features`` and ``layers``, (rows, width) each."""
        found = [
            summarised(network, middle, {name: inputs[name] for name in names})
            for network, middle, names in zip(self.network, self._middle, self._inputs, strict=True)
        ]
        joined = {"features": torch.cat([value["features"] for value in found], 1)}
        layers = [value["layers"] for value in found if "layers" in value]
        return {**joined, "layers": torch.cat(layers, 1)} if layers else joined


class Joint:
    """`config` has the family and the config of each part, by modality."""

    modality = TOGETHER.join(("image", "text"))

    def build(
        self, config: Mapping[str, Any], preprocessing: Preprocessing, output: Output = "pooled"
    ) -> Backbone:
        """Return the parts as one stage: cut before it or after it.

        Raises
        ------
        SourceError
            If the task wants more than one vector a row.
        """
        if output != "pooled":
            raise SourceError(f"sources side by side give one vector a row, not a {output}")
        parts = [
            families.get(part["family"]).build(
                part["config"],
                Preprocessing(preprocessing.settings[modality], preprocessing.files),
            )
            for modality, part in config.items()
        ]
        settings = {
            modality: part.preprocessing.settings
            for modality, part in zip(config, parts, strict=True)
        }
        model = JointNetwork(parts)
        return Backbone(
            family="joint",
            config=config,
            model=model,
            stages=stages_of(model, WHOLE),
            example={name: value for part in parts for name, value in part.example.items()},
            width=sum(part.width for part in parts),
            preprocessing=Preprocessing(settings, preprocessing.files),
        )


families.register("joint", Joint())
