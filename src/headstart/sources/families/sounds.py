"""transformers' encoders of recordings, from log-mel energies to a vector a position."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import torch
from torch import Tensor, nn

from headstart.data.modalities import Preprocessing
from headstart.errors import SourceError
from headstart.sources.families import Output, families
from headstart.sources.families.transformers import Kind, bare
from headstart.sources.families.whisper import WhisperWriter, mask_of_padding
from headstart.sources.staged import Backbone, as_features, stages_of

STRIDE = 2
"""Frames of a position of Whisper's encoder, of 10 milliseconds each."""
KINDS = {
    "whisper": Kind("WhisperModel", "stem=conv1,conv2 layers.*,layer_norm", part="encoder"),
}
TOKENIZER = "tokenizer.json"
_EXAMPLE = 23


class WhisperNetwork(nn.Module):
    """Whisper's encoder on as many positions as there are: a short phrase need not pay for 30 s.

    Padding is masked out, so that a row is the same in any batch; of the positions that the network
    learnt the first ones are used.
    """

    def __init__(self, network: Any, bands: int, pooling: bool) -> None:
        super().__init__()
        self.network = network
        self.bands = bands
        self.pooling = pooling

    def forward(self, mel: Tensor, attention_mask: Tensor) -> dict[str, Tensor]:
        """Map log-mel energies to features: (rows, width), or (rows, positions, width).

        Parameters
        ----------
        mel
            (rows, positions, `STRIDE` x bands).
        attention_mask
            (rows, positions), zero where there is padding.
        """
        network = self.network
        frames = mel.reshape(mel.shape[0], -1, self.bands).transpose(1, 2)
        hidden = nn.functional.gelu(network.conv1(frames))
        hidden = nn.functional.gelu(network.conv2(hidden)).transpose(1, 2)
        hidden = hidden + network.embed_positions.weight[: hidden.shape[1]]
        hidden = nn.functional.dropout(hidden, network.dropout, self.training)
        padding = mask_of_padding(attention_mask, hidden)
        for layer in network.layers:
            hidden = layer(hidden, padding)
        hidden = network.layer_norm(hidden)
        return as_features(hidden, attention_mask, self.pooling)


class Sounds:
    """Encoders of recordings; `config` is the content of their ``config.json``."""

    modality = "audio"

    def build(
        self, config: Mapping[str, Any], preprocessing: Preprocessing, output: Output = "pooled"
    ) -> Backbone:
        """Return the encoder, pooled or not; for ``text`` with the decoder beside it."""
        kind = KINDS.get(config["model_type"])
        if kind is None:
            raise SourceError(
                f"{config['model_type']} of transformers is none of the networks for recordings "
                f"that are read ({', '.join(KINDS)})."
            )
        network = bare(kind, config)
        bands = network.config.num_mel_bins
        settings = {
            "bands": bands,
            "stride": STRIDE,
            "seconds": network.config.max_source_positions * STRIDE / 100,
            "tail": 0.5,
            **preprocessing.settings,
        }
        model = WhisperNetwork(network, bands, output == "pooled")
        files = preprocessing.files if output == "text" else {}
        backbone = Backbone(
            family="transformers-audio",
            config=config,
            model=model,
            stages=stages_of(model, kind.stages),
            example={
                "mel": torch.zeros(2, _EXAMPLE, STRIDE * bands),
                "attention_mask": torch.ones(2, _EXAMPLE, dtype=torch.int64),
            },
            width=network.config.d_model,
            preprocessing=Preprocessing(settings, files),
            kept=("attention_mask",),
        )
        if TOKENIZER in files:
            decoder = bare(replace(kind, part="decoder"), config)
            backbone.writer = WhisperWriter(decoder, files[TOKENIZER])
        return backbone


families.register("transformers-audio", Sounds())
