"""The tasks: rows as files in folders of classes, written once, the same for all systems."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from PIL import Image

from peers.places import cache, made_once
from targets import (
    bbc_articles,
    bbc_folders,
    digits_folder,
    fashion_folder,
    mnist_folder,
    stamps_folder,
)

TEST = 0.3
"""Share of the stamps that are tested on."""


@dataclass(frozen=True)
class Task:
    """A task.

    Attributes
    ----------
    title
        What is learnt, for people.
    modality
        ``image`` or ``text``.
    epochs
        Passes over the training rows for systems that do not choose them: many where rows are few.
    write
        Writes the folders ``train`` and ``test`` into a folder.
    """

    title: str
    modality: str
    epochs: int
    write: Callable[[Path], None]

    def folder(self, name: str) -> Path:
        """Return the folder of the rows of the task, which is called `name`."""
        return made_once(cache() / "tasks" / name, self.write)


def _fashion(rows: int, folder: Path) -> None:
    fashion_folder(folder / "train", "train", rows)
    fashion_folder(folder / "test", "t10k")


def _bbc(rows: int, folder: Path) -> None:
    with tempfile.TemporaryDirectory() as scratch:
        _, others = bbc_folders(folder, bbc_articles(Path(scratch)), rows, seed=0)
    others.rename(folder / "test")


def _digits(folder: Path) -> None:
    mnist_folder(folder / "train")
    digits_folder(folder / "test")


def _stamps(folder: Path) -> None:
    """Deal the stamps by class; their transparent ground becomes white, for every system."""
    random = np.random.default_rng(0)
    with tempfile.TemporaryDirectory() as scratch:
        for kind in sorted(stamps_folder(Path(scratch)).iterdir()):
            stamps = sorted(kind.iterdir())
            order = random.permutation(len(stamps))
            tested = round(TEST * len(stamps))
            for position, i in enumerate(order.tolist()):
                place = folder / ("test" if position < tested else "train") / kind.name
                place.mkdir(parents=True, exist_ok=True)
                with Image.open(stamps[i]) as opened:
                    stamp = opened.convert("RGBA")
                ground = Image.new("RGBA", stamp.size, "white")
                Image.alpha_composite(ground, stamp).convert("RGB").save(place / stamps[i].name)


TASKS = {
    "fashion-100": Task("Fashion-MNIST, 100 labels", "image", 20, partial(_fashion, 100)),
    "fashion-1000": Task("Fashion-MNIST, 1,000 labels", "image", 10, partial(_fashion, 1_000)),
    "fashion-10000": Task("Fashion-MNIST, 10,000 labels", "image", 4, partial(_fashion, 10_000)),
    "digits": Task("MNIST-5k, tested on scikit-learn's digits", "image", 4, _digits),
    "stamps": Task("Tux Paint's stamps, five classes", "image", 20, _stamps),
    "bbc-40": Task("BBC News, 40 labels", "text", 20, partial(_bbc, 40)),
    "bbc-400": Task("BBC News, 400 labels", "text", 10, partial(_bbc, 400)),
}
