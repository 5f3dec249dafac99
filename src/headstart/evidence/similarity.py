"""Domain similarity: how like the rows are to what a source was trained on, without its data.

What a source carries of its own rows says it. A network with batch normalisation keeps mean and
variance of every channel over its training data; for rows like those they are the same, for noise
they are far off. A tokenizer keeps the words of its texts whole, and breaks others into pieces.
Where a source carries nothing of the kind, nothing is said.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from headstart.data.dataset import Dataset
from headstart.data.modalities import View, modalities
from headstart.data.modalities.text import fields
from headstart.digest import digest_data
from headstart.features.engines import Batch
from headstart.features.extract import Extractor
from headstart.places import cache_folder, read_json, write_json
from headstart.training.precision import usual

ROWS = 25
"""Rows that are looked at, at most: with them the order of targets is that with many more
(``benchmarks/similarity.py``).
"""
PIECE = 5
"""Pictures at a time: the maps of so few stay in a processor's cache while sums are taken."""
LONGEST = 15
"""Letters a word, on average, from which on texts are not divided into words by spaces."""
READ = 200
"""Words of a text that are looked at."""
WORDS = ((0.7, "much like"), (0.5, "partly like"), (0.2, "little like"), (-1.0, "unlike"))
FORMAT = 3


@dataclass(frozen=True)
class Similarity:
    """How like rows are to a source's own.

    Attributes
    ----------
    score
        From 0, as unlike as noise, to 1, the same; None where it cannot be said.
    reason
        How it was found, or why it could not be.
    """

    score: float | None
    reason: str

    def __str__(self) -> str:
        if self.score is None:
            return f"unknown ({self.reason})"
        words = next(said for least, said in WORDS if self.score >= least)
        return f"{self.score:.2f}: {words} what it was trained on"

    def data(self) -> dict[str, Any]:
        """Return it as JSON data."""
        return {"score": self.score, "says": str(self), "reason": self.reason}


def similarity(dataset: Dataset, extractor: Extractor, seed: int = 0) -> Similarity:
    """Return how like rows are to what a source was trained on, from a seeded draw of them."""
    some = np.random.default_rng([seed, 12]).permutation(len(dataset))[:ROWS]
    rows = dataset.take(np.sort(some).tolist())
    normalised = [m for m in extractor.backbone.model.modules() if _keeps_statistics(m)]
    if normalised and rows.modality == "image":
        return _by_statistics(rows, extractor, seed)
    if rows.modality == "text":
        return _by_pieces(rows, extractor, seed)
    return Similarity(None, "the source carries no statistics of its own rows")


def _keeps_statistics(module: nn.Module) -> bool:
    """Say whether a layer keeps what it has seen; a fresh one has seen nothing."""
    kept = module.running_mean if isinstance(module, nn.BatchNorm2d) else None
    return kept is not None and bool(kept.any())


def _by_statistics(rows: Dataset, extractor: Extractor, seed: int) -> Similarity:
    """Compare each channel before a normalisation with what the normalisation expects.

    Their distance is Wasserstein's between two normal distributions, squared, in units of the
    expected variance (as in Heusel et al., GANs Trained by a Two Time-Scale Update Rule, 2017,
    channel by channel), averaged over channels and layers; the score is one less its share of that
    of the same pictures with their pixels shuffled, whose colours are the same and whose shapes are
    gone.
    """
    preprocessing = extractor.backbone.preprocessing
    batch = modalities.get(rows.modality).collate(rows.inputs, rows.digests, preprocessing, View())
    found = _distance(extractor, batch, [*rows.digests])
    random = np.random.default_rng([seed, 13])
    control = {name: _shuffled(values, random) for name, values in batch.items()}
    farthest = _distance(extractor, control, ["shuffled", seed, *rows.digests])
    score = float(np.clip(1 - found / farthest, 0, 1))
    reason = "by the statistics of its normalisation layers, beside the same pixels shuffled"
    return Similarity(score, reason)


def _shuffled(pixels: np.ndarray, random: np.random.Generator) -> np.ndarray:
    """Return pictures (rows, channels, height, width) with the pixels of each in random order."""
    flat = pixels.reshape(*pixels.shape[:2], -1)
    places = [random.permutation(flat.shape[2]) for _ in flat]
    shuffled = [picture[:, order] for picture, order in zip(flat, places, strict=True)]
    return np.stack(shuffled).reshape(pixels.shape)


def _distance(extractor: Extractor, batch: Batch, named: Sequence[Any]) -> float:
    """Return the distance of a batch; it is kept, under the rows' digests."""
    place = similarity_folder() / f"{digest_data([FORMAT, extractor.digest, *named])}.json"
    kept = read_json(place)
    if isinstance(kept, float):
        return kept
    network = extractor.backbone.prefix(extractor.backbone.end)
    found = statistics_apart(network, {n: torch.from_numpy(v) for n, v in batch.items()})
    write_json(place, found)
    return found


def statistics_apart(network: nn.Module, inputs: dict[str, Tensor]) -> float:
    """Return how far the statistics of inputs are from those that the network keeps.

    Parameters
    ----------
    network
        With `nn.BatchNorm2d` layers, in evaluation mode.
    inputs
        Named arguments of it; the first axis is the row.
    """
    layers = [module for module in network.modules() if _keeps_statistics(module)]
    sums = {layer: torch.zeros(3, len(layer.running_mean)) for layer in layers}  # type: ignore[arg-type]

    def look(layer: nn.Module, given: tuple[Tensor, ...], _output: object) -> None:
        values = given[0].float()
        counted = torch.full((values.shape[1],), values.numel() / values.shape[1])
        every = (0, 2, 3)
        sums[layer] += torch.stack([counted, values.sum(every), values.square().sum(every)])

    handles = [layer.register_forward_hook(look) for layer in layers]
    try:
        with torch.no_grad(), usual().autocast():
            for piece in zip(*(values.split(PIECE) for values in inputs.values()), strict=True):
                network(**dict(zip(inputs, map(_channels_last, piece), strict=True)))
    finally:
        for handle in handles:
            handle.remove()
    distances = []
    for layer, (count, total, squares) in sums.items():
        if not bool(count.any()):
            continue
        mean = total / count
        variance = (squares / count - mean.square()).clamp(min=0)
        expected = layer.running_var + layer.eps  # type: ignore[operator]
        apart = (mean - layer.running_mean).square()
        apart = apart + (variance.sqrt() - expected.sqrt()).square()
        distances.append(float((apart / expected).mean()))
    return float(np.mean(distances))


def _channels_last(value: Tensor) -> Tensor:
    """Lay maps out as convolutions on a processor are fastest, where the network follows."""
    return value.contiguous(memory_format=torch.channels_last) if value.ndim == 4 else value


def _by_pieces(rows: Dataset, extractor: Extractor, seed: int) -> Similarity:
    """Compare the pieces a word of the texts with those of the same words, their letters mixed."""
    modality, preprocessing = modalities.get(rows.modality), extractor.backbone.preprocessing
    texts = [" ".join(fields(cell)).split()[:READ] for cell in rows.inputs]
    count = sum(map(len, texts))
    if not count:
        return Similarity(None, "the texts hold no words")
    if sum(len(word) for words in texts for word in words) > LONGEST * count:
        return Similarity(None, "the texts are not divided into words by spaces")
    random = np.random.default_rng([seed, 14])
    mixed = [["".join(random.permutation(list(word))) for word in words] for words in texts]

    def pieces(worded: list[list[str]]) -> tuple[float, float]:
        extents = modality.extents([" ".join(words) for words in worded], preprocessing)
        size = sum(extent.size for extent in extents)
        return size / count, sum(extent.unknown for extent in extents) / max(1, size)

    own, unknown = pieces(texts)
    far, _ = pieces(mixed)
    whole = float(np.clip((far - own) / max(far - 1, 1e-6), 0, 1))
    return Similarity(whole * (1 - unknown), f"by its tokenizer: {own:.2f} pieces a word")


def similarity_folder() -> Path:
    """Return where distances are kept."""
    return cache_folder() / "similarity"
