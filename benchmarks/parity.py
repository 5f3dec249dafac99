"""Every family at every cut: suffix over prefix against the whole, engines against eager.

The bundled sources have their own weights. The other rows are architectures in their real widths,
some with fewer layers, and random weights.

    python benchmarks/parity.py [whisper wav2vec2 …]

Rows whose names hold no word that is given keep the results that they have.
"""

from __future__ import annotations

import json
import re
import sys
import tempfile
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch

from headstart.data.modalities import Preprocessing
from headstart.features.engines import choose
from headstart.sources.catalogue import sources
from headstart.sources.families import families
from headstart.sources.loading import load_source
from headstart.sources.staged import Backbone
from records import RESULTS, keep
from tiny import inputs_for

BOUND = 1e-5
"""Largest difference that is allowed, as a share of the largest value."""
BASE = {
    "vocab_size": 30_000,
    "hidden_size": 768,
    "num_hidden_layers": 4,
    "num_attention_heads": 12,
    "intermediate_size": 3072,
    "max_position_embeddings": 514,
}
PATCHES = {**BASE, "image_size": 224, "patch_size": 16}
TIMM = (
    *("vgg16", "resnet50", "inception_v3", "densenet121", "efficientnet_b0"),
    *("mobilenetv3_small_100", "convnext_tiny", "vit_tiny_patch16_224"),
    "swin_tiny_patch4_window7_224",
)
TEXTS: dict[str, Mapping[str, Any]] = {
    "bert": BASE,
    "MiniLM": {**BASE, "model_type": "bert", "hidden_size": 384, "intermediate_size": 1536},
    "distilbert": {"vocab_size": 30_000, "n_layers": 4},
    "roberta": BASE,
    "deberta-v2": {
        **BASE,
        "relative_attention": True,
        "position_buckets": 256,
        "pos_att_type": ["p2c", "c2p"],
        "share_att_key": True,
        "norm_rel_ebd": "layer_norm",
        "position_biased_input": False,
    },
    "t5": {"vocab_size": 30_000, "num_layers": 6, "num_heads": 8, "d_model": 512},
    "gpt2": {"vocab_size": 30_000, "n_layer": 4},
    "llama": {
        **BASE,
        "hidden_size": 960,
        "num_attention_heads": 15,
        "num_key_value_heads": 5,
        "intermediate_size": 2560,
    },
    "qwen2": {
        **BASE,
        "hidden_size": 896,
        "num_attention_heads": 14,
        "num_key_value_heads": 2,
        "intermediate_size": 4864,
    },
    "clip": {
        "text_config": {
            **BASE,
            "hidden_size": 512,
            "num_attention_heads": 8,
            "intermediate_size": 2048,
            "eos_token_id": 29_999,
        }
    },
}
PICTURES: dict[str, Mapping[str, Any]] = {
    "vit": PATCHES,
    "dinov2": {**PATCHES, "hidden_size": 384, "num_attention_heads": 6, "patch_size": 14},
    "clip": {"vision_config": {**PATCHES, "patch_size": 32}},
}
SOUNDS: dict[str, Mapping[str, Any]] = {
    "whisper": {
        "d_model": 512,
        "encoder_layers": 6,
        "encoder_attention_heads": 8,
        "decoder_attention_heads": 8,
    },
    "wav2vec2": {"num_hidden_layers": 4},
    "hubert": {"num_hidden_layers": 4},
    "wavlm": {"num_hidden_layers": 4},
    "audio-spectrogram-transformer": {"num_hidden_layers": 4},
}


def networks() -> dict[str, Any]:
    """Return functions that make the backbones, by the names of the table's rows."""
    looks = {"size": 224, "mean": [0.5, 0.5, 0.5], "std": [0.25, 0.25, 0.25]}
    found: dict[str, Any] = {s.id: lambda s=s: load_source(s).backbone for s in sources}
    rows = [(f"timm {name}", "timm", {"name": name}) for name in TIMM]
    for kind, of in (("text", TEXTS), ("image", PICTURES), ("audio", SOUNDS)):
        for name, config in of.items():
            full = {"model_type": name, **config}
            rows.append((f"transformers {kind} {name}", f"transformers-{kind}", full))
    for label, family, config in rows:
        size = 299 if "inception" in label else 224
        settings = {**looks, "size": size} if families.get(family).modality == "image" else {}
        reads = Preprocessing(settings, {})
        found[label] = lambda f=family, c=config, r=reads: families.get(f).build(c, r)
    return found


def inputs(backbone: Backbone) -> dict[str, torch.Tensor]:
    """Return five rows of random inputs; texts and sounds have different lengths."""
    random = torch.Generator().manual_seed(0)
    if "pixels" in backbone.example:
        size = int(backbone.preprocessing.settings["size"])
        shape = (5, 3, size, size)
        return {"pixels": torch.randint(0, 256, shape, generator=random, dtype=torch.uint8)}
    if "input_ids" not in backbone.example:
        return inputs_for(backbone, rows=5, size=100)
    mask = (torch.arange(37)[None] < torch.tensor([37, 30, 21, 9, 3])[:, None]).long()
    ids = torch.randint(1000, 20_000, mask.shape, generator=random) * mask
    return {"input_ids": ids, "attention_mask": mask}


def cell(
    backbone: Backbone,
    cut: int,
    rows: dict[str, torch.Tensor],
    whole: torch.Tensor,
    folder: Path,
) -> Any:
    """Return the figures of one cut; engines are tried at the first, middle and last ones."""
    with torch.no_grad():
        parts = backbone.suffix(cut).eval()(backbone.prefix(cut)(**rows))["features"]
    difference = float((whole - parts).abs().max() / whole.abs().max())
    found: dict[str, Any] = {"cut": backbone.cut_name(cut), "difference": difference}
    if cut in {1, backbone.end // 2, backbone.end} - {0}:
        batch = {name: value.numpy() for name, value in rows.items()}
        started = time.monotonic()
        chosen = choose(backbone.prefix(cut), batch, str(cut), folder)
        found |= {
            "engine": chosen.name,
            "precision": chosen.precision,
            "cosine": chosen.cosine,
            "error": chosen.error,
            "refused": [re.sub(r"\S*/", "", reason) for reason in chosen.refused],
            "seconds": time.monotonic() - started,
        }
    red = [f"difference over {BOUND}"] if not difference <= BOUND else []
    if found.get("engine") == "eager":
        red += found["refused"]
    return {**found, "red": red} if red else found


def main() -> None:
    """Measure all rows, or those whose names hold a word that is given, and keep the table."""
    wanted, kept = sys.argv[1:], RESULTS / "parity.json"
    table: dict[str, Any] = json.loads(kept.read_text())["rows"] if wanted else {}
    for name, make in networks().items():
        if wanted and not any(word in name for word in wanted):
            continue
        torch.manual_seed(0)
        backbone = make()
        rows = inputs(backbone)
        with torch.no_grad():
            whole = backbone.model(**rows)["features"]
        with tempfile.TemporaryDirectory() as folder:
            cells = [
                cell(backbone, cut, rows, whole, Path(folder)) for cut in range(backbone.end + 1)
            ]
        parameters = sum(p.numel() for p in backbone.model.parameters())
        table[name] = {"parameters": parameters, "cuts": cells}
        print(name, "red" if any("red" in c for c in cells) else "green", file=sys.stderr)
    worst = max(cell["difference"] for row in table.values() for cell in row["cuts"])
    red = {
        f"{name}, {cell['cut']}": cell["red"]
        for name, row in table.items()
        for cell in row["cuts"]
        if "red" in cell
    }
    keep("parity", {"largest_difference": worst, "red": red, "rows": table})


if __name__ == "__main__":
    main()
