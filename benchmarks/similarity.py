"""Domain similarity by what ImageNet sources carry: which pictures are near to their own.

Photographs and drawings should stand before product pictures and digits, and these before the same
pictures with their pixels shuffled, and noise; from 50, 200 and 500 rows alike. Pictures whose
phases are scrambled, which keep the spectrum of each, and spectrograms of speech are measured, too.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import soundfile
from PIL import Image
from scipy.signal import spectrogram

from headstart.data.inputs import rows_from
from headstart.data.modalities.image import load
from headstart.evidence.similarity import similarity
from headstart.features.shared import shared_extractor
from headstart.sources.opening import find_source
from records import keep
from targets import STAMPS, fashion_folder, mnist_folder, stamps

SOURCES = [f"bundled/efficientnet-lite{number}" for number in range(3)]
SIZES = (50, 200, 500)
SIDE = 224
NEAR, MIDDLE = ("stamps",), ("Fashion-MNIST", "MNIST")
"""Those that should come first, and next; what is scrambled comes last."""
Pixels = Callable[[Path, np.random.Generator], Image.Image]


def plain(path: Path, _random: np.random.Generator) -> Image.Image:
    """Return the picture as it is."""
    return load(path)


def shuffled(path: Path, random: np.random.Generator) -> Image.Image:
    """Return the picture at the size that sources read, its pixels shuffled."""
    pixels = np.asarray(load(path).resize((SIDE, SIDE))).reshape(-1, 3).copy()
    random.shuffle(pixels)
    return Image.fromarray(pixels.reshape(SIDE, SIDE, 3))


def scrambled(path: Path, random: np.random.Generator) -> Image.Image:
    """Return the picture with the phases of noise added to its own."""
    pixels = np.asarray(load(path).resize((SIDE, SIDE)), np.float64)
    phases = np.angle(np.fft.fft2(random.random((SIDE, SIDE))))[..., None]
    found = np.fft.ifft2(np.fft.fft2(pixels, axes=(0, 1)) * np.exp(1j * phases), axes=(0, 1))
    return Image.fromarray(found.real.clip(0, 255).astype(np.uint8))


def noise(_path: Path, random: np.random.Generator) -> Image.Image:
    """Return independent pixels."""
    return Image.fromarray(random.integers(0, 256, (SIDE, SIDE, 3), np.uint8))


def heard(path: Path, _random: np.random.Generator) -> Image.Image:
    """Return the spectrogram of a recording in grey, low frequencies at the bottom."""
    samples, rate = soundfile.read(path, dtype="float32", always_2d=True)
    _, _, power = spectrogram(samples.mean(1), rate, nperseg=512, noverlap=384)
    decibels = 10 * np.log10(power[::-1] + 1e-10)
    scaled = (decibels - decibels.min()) / max(np.ptp(decibels), 1e-9)
    return Image.fromarray((255 * scaled).astype(np.uint8)).convert("RGB")


def scores(files: list[Path], look: Pixels) -> dict[str, dict[str, float | None]]:
    """Return the similarity to each source, from each number of rows."""
    random = np.random.default_rng(0)
    drawn = [files[i] for i in random.permutation(len(files))[: max(SIZES)].tolist()]
    rows = rows_from([look(path, random) for path in drawn], "image")
    found: dict[str, dict[str, float | None]] = {}
    for name in SOURCES:
        extractor = shared_extractor(find_source(name))
        found[name] = {
            str(size): similarity(rows.take(range(min(size, len(rows)))), extractor).score
            for size in SIZES
        }
    return found


def in_order(table: dict[str, dict[str, dict[str, float]]]) -> dict[str, bool]:
    """Say for each source and size whether the kinds stand in the order that is expected."""
    last = [name for name in table if name.startswith("shuffled") or name == "noise"]
    found = {}
    for source, size in product(SOURCES, map(str, SIZES)):
        near, middle, far = (
            [table[name][source][size] for name in names] for names in (NEAR, MIDDLE, last)
        )
        found[f"{source}, {size}"] = min(near) > max(middle) and min(middle) > max(far)
    return found


def main() -> None:
    """Measure all kinds of pictures and keep the table."""
    table: dict[str, Any] = {}
    with tempfile.TemporaryDirectory() as scratch:
        place = Path(scratch)
        folders = {
            "Fashion-MNIST": fashion_folder(place / "fashion", "train", max(SIZES)),
            "MNIST": mnist_folder(place / "mnist"),
        }
        files = {name: sorted(folder.rglob("*.png")) for name, folder in folders.items()}
        files["stamps"] = stamps()
        for name, listed in files.items():
            table[name] = scores(listed, plain)
            table[f"shuffled {name}"] = scores(listed, shuffled)
            table[f"scrambled {name}"] = scores(listed, scrambled)
        table["noise"] = scores(files["MNIST"], noise)
        spoken = sorted(STAMPS.rglob("*_desc_es.ogg"))
        table["spectrograms"] = scores(spoken, heard)
    keep("similarity", {"scores": table, "in_order": in_order(table)})


if __name__ == "__main__":
    main()
