"""AST: a transformer on patches of a spectrogram (Gong et al., Interspeech 2021)."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

from headstart.sources.families.whisper import mask_of_padding
from headstart.sources.staged import as_features

LEADING = 2
"""Tokens before those of patches: of the class, and of distillation."""


class SpectrogramNetwork(nn.Module):
    """The network on as many patches as there are: a short recording need not pay for ten seconds.

    Patches stand in order of time, those of a time from low to high; of the positions that the
    network learnt the first ones are used.

    Parameters
    ----------
    network
        transformers' ``ASTModel``.
    pooling
        It answers with the mean of the two leading tokens, as in pre-training; else with all.
    """

    def __init__(self, network: Any, pooling: bool) -> None:
        super().__init__()
        self.network = network
        self.pooling = pooling
        self.patch, self.step = network.config.patch_size, network.config.time_stride
        self.bands, self.times = network.embeddings.get_shape(network.config)

    def forward(self, fbank: Tensor, attention_mask: Tensor) -> dict[str, Tensor]:
        """Map energies to features: (rows, width), or (rows, tokens, width).

        Parameters
        ----------
        fbank
            (rows, frames, bands).
        attention_mask
            (rows, `LEADING` + `bands` x positions), zero where there is padding.
        """
        network, embeddings = self.network, self.network.embeddings
        times = (attention_mask.shape[1] - LEADING) // self.bands
        patches = embeddings.patch_embeddings(fbank[:, : self.patch + self.step * (times - 1)])
        patches = patches.unflatten(1, (self.bands, -1))[:, :, :times]
        places = embeddings.position_embeddings
        learnt = places[:, LEADING:].unflatten(1, (self.bands, self.times))
        learnt = learnt[:, :, : patches.shape[2]]  # of what stands in for patches there are others
        hidden = (patches + learnt).transpose(1, 2).flatten(1, 2)
        leading = torch.cat([embeddings.cls_token, embeddings.distillation_token], 1)
        # not len(): tracing would take it for a constant
        leading = (leading + places[:, :LEADING]).expand(hidden.shape[0], -1, -1)
        hidden = embeddings.dropout(torch.cat([leading, hidden], 1))
        padding = mask_of_padding(attention_mask, hidden)
        for layer in network.layers:
            hidden = layer(hidden, padding)
        hidden = network.layernorm(hidden)
        if self.pooling:
            return {"features": hidden[:, :LEADING].mean(1)}
        return as_features(hidden, attention_mask, pooling=False)
