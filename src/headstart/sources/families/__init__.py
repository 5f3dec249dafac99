"""Families of architectures: how each is built, and where its stages lie. One file each."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal, Protocol

from headstart.data.modalities import Preprocessing
from headstart.registry import Registry
from headstart.sources.staged import Backbone

Output = Literal["pooled", "map", "sequence"]
"""What a task wants of a backbone: a vector a row, a map (channels first), or a sequence."""


class Family(Protocol):
    """Builds backbones of one family with random weights; weights are loaded by name."""

    modality: str

    def build(
        self, config: Mapping[str, Any], preprocessing: Preprocessing, output: Output = "pooled"
    ) -> Backbone:
        """Return a backbone of this architecture, its weights random."""


families: Registry[Family] = Registry("family", __name__)
