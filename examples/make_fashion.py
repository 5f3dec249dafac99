"""Make ``fashion/``: a small seeded part of the Fashion-MNIST training set, as PNG files.

    python examples/make_fashion.py [FOLDER]

FOLDER holds the four original files (``train-images-idx3-ubyte.gz`` and so on); the default is
where the Debian package ``dataset-fashion-mnist`` puts them. A file is named after its index in the
training set. The first three pictures of the test set go to ``fashion-new/``, to predict on.
"""

import argparse
import gzip
import random
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

CLASSES = (
    "t-shirt",
    "trouser",
    "pullover",
    "dress",
    "coat",
    "sandal",
    "shirt",
    "sneaker",
    "bag",
    "ankle-boot",
)
DEBIAN = Path("/usr/share/datasets/fashion-mnist")
NEW_PICTURES = 3
PER_CLASS = 120
SEED = 0

_HEADER_BYTES = {"images-idx3": 16, "labels-idx1": 8}


def read_split(folder: Path, split: str) -> tuple[NDArray[np.uint8], NDArray[np.uint8]]:
    """Read one split of Fashion-MNIST.

    Parameters
    ----------
    folder
        Where the original files lie.
    split
        ``train`` or ``t10k``.

    Returns
    -------
    images : (n, 28, 28) uint8
        0 is the background.
    labels : (n,) uint8
        Indices into `CLASSES`.
    """
    values = {
        kind: np.frombuffer(
            gzip.decompress((folder / f"{split}-{kind}-ubyte.gz").read_bytes()),
            dtype=np.uint8,
            offset=offset,
        )
        for kind, offset in _HEADER_BYTES.items()
    }
    return values["images-idx3"].reshape(-1, 28, 28), values["labels-idx1"]


def draw(
    labels: NDArray[np.uint8], per_class: int = PER_CLASS, seed: int = SEED
) -> dict[str, list[int]]:
    """Draw `per_class` indices of each class, without replacement.

    Parameters
    ----------
    labels : (n,) uint8
        Indices into `CLASSES`.
    per_class
        How many to draw of each class.
    seed
        The same seed draws the same indices.

    Returns
    -------
    dict of {class name: sorted indices into labels}
    """
    rng = random.Random(seed)
    return {
        name: sorted(rng.sample(np.flatnonzero(labels == code).tolist(), per_class))
        for code, name in enumerate(CLASSES)
    }


def main() -> None:
    """Write ``fashion/`` and ``fashion-new/`` beside this script."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("folder", type=Path, nargs="?", default=DEBIAN)
    folder = parser.parse_args().folder
    here = Path(__file__).parent

    images, labels = read_split(folder, "train")
    for name, indices in draw(labels).items():
        for index in indices:
            _write(images[index], here / "fashion" / name / f"{index:05d}.png")

    images, labels = read_split(folder, "t10k")
    for index in range(NEW_PICTURES):
        name = CLASSES[labels[index]]
        _write(images[index], here / "fashion-new" / f"{name}-{index:05d}.png")


def _write(image: NDArray[np.uint8], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(image).save(path, optimize=True)


if __name__ == "__main__":
    main()
