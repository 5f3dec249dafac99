"""The speaker encoder of Resemblyzer."""

from __future__ import annotations

import re

from headstart.sources.catalogue import Source, SourceFile, Tensors, WheelOrigin, sources
from headstart.sources.formats import from_checkpoint

_LAYER = re.compile(r"lstm\.(\w+)_l(\d)")


def convert(tensors: Tensors, fresh: Tensors) -> Tensors:
    """Give the layers of the one LSTM the names of those of ours."""
    named = {_LAYER.sub(r"layers.\2.lstm.\1_l0", name): value for name, value in tensors.items()}
    return {name: named[name] for name in fresh}


sources.register(
    "bundled/ge2e-speaker",
    Source(
        id="bundled/ge2e-speaker",
        title="GE2E speaker encoder",
        modality="audio",
        family="speakers",
        config={"width": 256, "layers": 3},
        settings={},
        weights="model.safetensors",
        files=(
            SourceFile(
                "model.safetensors",
                "39373b86598fa3da9fcddee6142382efe09777e8d37dc9c0561f41f0070f134e",
                (
                    WheelOrigin(
                        "Resemblyzer==0.1.4",
                        "resemblyzer/pretrained.pt",
                        "8f12eb2f1a9982d32e8db7856de754709b59c93a77bcf0ff536584b619a9dd1f",
                    ),
                ),
                from_checkpoint("model_state"),
            ),
        ),
        convert=convert,
        parameters=1_423_616,
        architecture="3 layers of LSTM of width 256 on mel energies",
        pretraining="1,800 hours of English of 8,400 speakers, told apart by their voices",
        licence="Apache-2.0",
        prefer="whose voice it is, and what makes voices differ; little of what they say",
        speed=75,
    ),
)
