"""wav2vec 2.0, HuBERT and WavLM: transformers on what convolutions hear in the samples.

Baevski et al., wav2vec 2.0, NeurIPS 2020; Hsu et al., HuBERT, 2021; Chen et al., WavLM, 2022.
"""

from __future__ import annotations

import warnings
from typing import Any

import torch
from torch import Tensor, nn

from headstart.sources.families.whisper import mask_of_padding
from headstart.sources.staged import as_features


class WaveNetwork(nn.Module):
    """The network on rows of any length: padding changes nothing, so a row is the same in a batch.

    Parameters
    ----------
    network
        transformers' ``Wav2Vec2Model``, ``HubertModel`` or ``WavLMModel``.
    pooling
        It answers with the mean of all positions, else with all of them.
    """

    def __init__(self, network: Any, pooling: bool) -> None:
        super().__init__()
        self.network = network
        self.pooling = pooling
        config = network.config
        self.late_norm = bool(config.do_stable_layer_norm)
        self.first, self.step = reach(config.conv_kernel, config.conv_stride)
        self.kernel, self.stride = config.conv_kernel[0], config.conv_stride[0]
        self.biased = config.model_type == "wavlm"
        for module in network.feature_extractor.modules():
            if isinstance(module, nn.GroupNorm):
                module.__class__ = _NormOfRow
        if self.biased:
            _own_bias(network.encoder.layers)

    def forward(self, wave: Tensor, attention_mask: Tensor) -> dict[str, Tensor]:
        """Map samples to features: (rows, width), or (rows, positions, width).

        Parameters
        ----------
        wave
            (rows, samples): `first` for a position, and `step` for each further one.
        attention_mask
            (rows, positions), zero where there is padding.
        """
        network, encoder = self.network, self.network.encoder
        positions = attention_mask.shape[1]
        heard = self.first + self.step * (attention_mask.sum(1) - 1)
        for module in network.feature_extractor.modules():
            if isinstance(module, _NormOfRow):
                module.frames = (heard - self.kernel) // self.stride + 1
        hidden = network.feature_extractor(wave[:, : self.first + self.step * (positions - 1)])
        hidden = network.feature_projection(hidden.transpose(1, 2))
        hidden = hidden[0] if isinstance(hidden, tuple) else hidden
        hidden = hidden * attention_mask.unsqueeze(-1).to(hidden.dtype)
        hidden = hidden + encoder.pos_conv_embed(hidden)
        if not self.late_norm:
            hidden = encoder.layer_norm(hidden)
        hidden = encoder.dropout(hidden)
        padding = attention_mask if self.biased else mask_of_padding(attention_mask, hidden)
        for layer in encoder.layers:
            hidden = layer(hidden, padding)
        if self.late_norm:
            hidden = encoder.layer_norm(hidden)
        return as_features(hidden, attention_mask, self.pooling)


def line_of(network: Any) -> str:
    """Return the stages of a network, in the notation of `stages_of`."""
    begin = "stem=feature_extractor,feature_projection"
    if network.config.do_stable_layer_norm:  # what the first layer gets is no module's answer
        first = "layers.0=encoder.pos_conv_embed,encoder.dropout,encoder.layers.0"
        return f"{begin} {first} encoder.layers.*,encoder.layer_norm"
    return f"{begin},encoder.pos_conv_embed,encoder.layer_norm,encoder.dropout encoder.layers.*"


def reach(kernels: list[int], strides: list[int]) -> tuple[int, int]:
    """Return the samples that make a position of a stack of convolutions, and each further one."""
    first = step = 1
    for kernel, stride in zip(reversed(kernels), reversed(strides), strict=True):
        first, step = stride * (first - 1) + kernel, stride * step
    return first, step


class _NormOfRow(nn.GroupNorm):
    """A normalisation over time, of the frames (rows,) that there are of each row."""

    frames: Tensor

    def forward(self, hidden: Tensor) -> Tensor:
        """Map (rows, channels, frames) to the same."""
        at = torch.arange(hidden.shape[2], device=hidden.device)
        there = (at[None] < self.frames[:, None]).unsqueeze(1).to(hidden.dtype)
        count = there.sum(2, keepdim=True)
        mean = (hidden * there).sum(2, keepdim=True) / count
        variance = ((hidden - mean).square() * there).sum(2, keepdim=True) / count
        standard = (hidden - mean) * (variance + self.eps).rsqrt()
        return standard * self.weight[:, None] + self.bias[:, None]


class _OwnBias:
    """Mixed into a layer of WavLM: it computes the bias of positions and hands none on.

    That bias is the same for all rows, so it could not be cached by row.
    """

    _first: list[Any]

    def forward(self, hidden: Tensor, mask: Tensor) -> Tensor:
        rows, positions, _ = hidden.shape
        bias = self._first[0].compute_bias(positions, positions)
        every = bias.unsqueeze(0).repeat(rows, 1, 1, 1).flatten(0, 1)
        found: Tensor = super().forward(hidden, attention_mask=mask, position_bias=every)[0]  # type: ignore[misc]
        return found


def _own_bias(layers: Any) -> None:
    """Let every layer compute the bias of positions itself, from the weights of the first one."""
    # transformers gives torch one mask of truth values and one of numbers, which torch warns of
    warnings.filterwarnings("ignore", "Support for mismatched key_padding_mask", UserWarning)
    for layer in layers:
        # held in a list, the first layer's attention is no part of the others
        layer.__dict__["_first"] = [layers[0].attention]
        layer.__class__ = type(type(layer).__name__, (_OwnBias, type(layer)), {})
