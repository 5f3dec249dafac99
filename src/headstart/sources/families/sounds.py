"""transformers' encoders of recordings: Whisper, wav2vec 2.0 and its kin, AST."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

import torch
from torch import Tensor, nn

from headstart.data.modalities import Preprocessing
from headstart.data.modalities.audio import FRAMES
from headstart.errors import SourceError
from headstart.sources.ctc import Ctc
from headstart.sources.families import Output, families
from headstart.sources.families.spectrograms import LEADING, SpectrogramNetwork
from headstart.sources.families.transformers import Kind, bare
from headstart.sources.families.waves import WaveNetwork, line_of
from headstart.sources.families.whisper import WhisperWriter, mask_of_padding
from headstart.sources.staged import Backbone, as_features, stages_of

STRIDE = 2
"""Frames of a position of Whisper's encoder, of 10 milliseconds each."""
TAIL = 0.5
"""Seconds of silence after a recording."""
SILENCE = 4.0
"""Seconds of silence after a recording of which Whisper writes, while its encoder is as it was: it
learnt on 30 seconds, mostly silence after a short phrase, and with much less phrases are written
twice (``benchmarks/encoding.py``). An encoder that is tuned learns where they end.
"""
KINDS = {
    "audio-spectrogram-transformer": Kind(
        "ASTModel", "stem=embeddings.patch_embeddings layers.*,layernorm"
    ),
    "hubert": Kind("HubertModel"),
    "wav2vec2": Kind("Wav2Vec2Model"),
    "wavlm": Kind("WavLMModel"),
    "whisper": Kind("WhisperModel", "stem=conv1,conv2,begun layers.*,layer_norm", part="encoder"),
}
"""Where no line of stages is given, the network's settings say it."""
TOKENIZER = "tokenizer.json"
LETTERS = "letters"
"""The file with the letters that a network of CTC writes, in the order of its outputs."""
_EXAMPLE, _TIMES = 23, 5
"""Positions of an example, and of one of which several tokens are made."""
_AUDIO_SET = {"mean": -4.2677393, "std": 4.5689974}
"""Of the energies of AST's pre-training, which its files tell too."""


class WhisperNetwork(nn.Module):
    """Whisper's encoder on as many positions as there are: a short phrase need not pay for 30 s.

    Padding is masked out, so that a row is the same in any batch; of the positions that the network
    learnt the first ones are used.
    """

    def __init__(self, network: Any, bands: int, pooling: bool) -> None:
        super().__init__()
        network.begun = nn.Identity()  # the stem ends where positions are in their usual place
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
        hidden = network.begun(nn.functional.gelu(network.conv2(hidden)).transpose(1, 2))
        hidden = hidden + network.embed_positions.weight[: hidden.shape[1]]
        hidden = nn.functional.dropout(hidden, network.dropout, self.training)
        padding = mask_of_padding(attention_mask, hidden)
        for layer in network.layers:
            hidden = layer(hidden, padding)
        hidden = network.layer_norm(hidden)
        return as_features(hidden, attention_mask, self.pooling)


@dataclass(frozen=True)
class _Read:
    """A network on recordings, how it is cut, and what it reads.

    Attributes
    ----------
    settings
        Of its preprocessing.
    example
        Its inputs but for the mask, of two rows.
    tokens
        Of a row of the example.
    """

    model: nn.Module
    line: str
    settings: dict[str, Any]
    example: dict[str, Tensor]
    tokens: int


def _energies(network: Any, pooling: bool) -> _Read:
    bands = network.config.num_mel_bins
    return _Read(
        WhisperNetwork(network, bands, pooling),
        KINDS["whisper"].stages,
        {
            "bands": bands,
            "stride": STRIDE,
            "seconds": network.config.max_source_positions * STRIDE / FRAMES,
            **({"tail": TAIL} if pooling else {"tail": SILENCE, "tuned": {"tail": TAIL}}),
        },
        {"mel": torch.zeros(2, _EXAMPLE, STRIDE * bands)},
        _EXAMPLE,
    )


def _samples(network: Any, pooling: bool) -> _Read:
    model = WaveNetwork(network, pooling)
    settings = {"first": model.first, "step": model.step, "normalised": True}
    wave = torch.randn(2, model.first + model.step * (_EXAMPLE - 1))
    return _Read(model, line_of(network), {"front": "wave", **settings}, {"wave": wave}, _EXAMPLE)


def _patches(network: Any, pooling: bool) -> _Read:
    model, config = SpectrogramNetwork(network, pooling), network.config
    times = min(_TIMES, model.times)
    frames = model.patch + model.step * (times - 1)
    settings = {
        "front": "fbank",
        "bands": config.num_mel_bins,
        "first": model.patch,
        "step": model.step,
        "before": LEADING,
        "each": model.bands,
        "seconds": config.max_length / FRAMES,
        **_AUDIO_SET,
    }
    example = {"fbank": torch.zeros(2, frames, config.num_mel_bins)}
    tokens = LEADING + model.bands * times
    return _Read(model, KINDS[config.model_type].stages, settings, example, tokens)


_READERS = {"WhisperModel": _energies, "ASTModel": _patches}


class Sounds:
    """Encoders of recordings; `config` is the content of their ``config.json``."""

    modality = "audio"

    def build(
        self, config: Mapping[str, Any], preprocessing: Preprocessing, output: Output = "pooled"
    ) -> Backbone:
        """Return the encoder, pooled or not; for ``text`` with what writes beside it."""
        kind = KINDS.get(config["model_type"])
        if kind is None:
            raise SourceError(
                f"{config['model_type']} of transformers is none of the networks for recordings "
                f"that are read ({', '.join(KINDS)})."
            )
        network = bare(kind, config)
        read = _READERS.get(kind.network, _samples)(network, output == "pooled")
        files = preprocessing.files if output == "text" else {}
        backbone = Backbone(
            family="transformers-audio",
            config=config,
            model=read.model,
            stages=stages_of(read.model, read.line),
            example={
                **read.example,
                "attention_mask": torch.ones(2, read.tokens, dtype=torch.int64),
            },
            width=network.config.hidden_size,
            preprocessing=Preprocessing({**read.settings, **preprocessing.settings}, files),
            kept=("attention_mask",),
        )
        if LETTERS in files:
            backbone.writer = Ctc(backbone.width, files[LETTERS])
        if TOKENIZER in files:
            decoder = bare(replace(kind, part="decoder"), config)
            backbone.writer = WhisperWriter(decoder, files[TOKENIZER])
        return backbone


families.register("transformers-audio", Sounds())
