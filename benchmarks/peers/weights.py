"""The pre-trained networks that all systems start from, as their libraries want them."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

from peers.places import cache, made_once

SOURCES = {"image": "bundled/efficientnet-lite0", "text": "bundled/minilm"}


def weights(modality: str) -> Path:
    """Return the folder of the network for a modality."""
    make = _pictures if modality == "image" else _texts
    return made_once(cache() / "weights" / SOURCES[modality].split("/")[1], make)


def _pictures(folder: Path) -> None:
    """Write EfficientNet-Lite0 as a folder of timm, transformers' timm wrapper and AutoGluon."""
    import torch
    from safetensors.torch import save_file

    from headstart.sources.catalogue import sources
    from headstart.sources.loading import load_source

    source = sources.get(SOURCES["image"])
    backbone = load_source(source).backbone
    state = backbone.model.state_dict()
    mine = {
        name.removeprefix("network."): tensor.contiguous()
        for name, tensor in state.items()
        if name.startswith("network.")
    }
    save_file(mine, folder / "model.safetensors", {"format": "pt"})
    torch.save(mine, folder / "pytorch_model.bin")
    size = source.settings["size"]
    looks = {
        "input_size": [3, size, size],
        "mean": source.settings["mean"],
        "std": source.settings["std"],
        "interpolation": source.settings["interpolation"],
        "crop_pct": 1.0,
        "crop_mode": "squash",
        "num_classes": 1000,
        "classifier": "classifier",
        "first_conv": "conv_stem",
    }
    described = {
        "architecture": backbone.config["name"],
        "num_classes": 1000,
        "num_features": 1280,
        "pretrained_cfg": looks,
    }
    (folder / "config.json").write_text(json.dumps(described, indent=1))


def _texts(folder: Path) -> None:
    """Copy MiniLM, and describe its tokenizer as transformers does."""
    from transformers import PreTrainedTokenizerFast

    from headstart.sources.catalogue import sources
    from headstart.sources.fetching import fetch

    kept = fetch(sources.get(SOURCES["text"]), print)
    for name in ("config.json", "model.safetensors"):
        shutil.copy(kept / name, folder / name)
    tokenizer = PreTrainedTokenizerFast(
        tokenizer_file=str(kept / "tokenizer.json"),
        model_max_length=128,
        model_input_names=["input_ids", "token_type_ids", "attention_mask"],
        pad_token="[PAD]",
        unk_token="[UNK]",
        cls_token="[CLS]",
        sep_token="[SEP]",
        mask_token="[MASK]",
    )
    tokenizer.save_pretrained(folder)
