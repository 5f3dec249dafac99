"""Trains the small convolutional network for pictures, of spectra too, from random weights."""

from __future__ import annotations

from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from headstart.data.modalities import Preprocessing, modalities
from headstart.features.cache import ActivationCache
from headstart.features.extract import inputs
from headstart.features.values import Values, concatenated
from headstart.models.small_cnn import SmallCnn, normalised, right_size, small_cnn
from headstart.recipes import Norm
from headstart.training.learners import EPOCHS, Assignment, Fitted, Rows, learners
from headstart.training.loop import train
from headstart.training.measuring import LONGEST, fastest, step_seconds
from headstart.training.memory import AtOnce
from headstart.training.plan import HEAD
from headstart.training.precision import Numerics

WIDTH = 32
_SEEN = 200
_EVALUATED = 256


class LearnSmallCnn:
    """Pixels of all rows are kept, at the small size; pictures are shifted a little each time."""

    def __init__(self) -> None:
        self._paces: dict[tuple[object, ...], float] = {}

    def forecast(self, assignment: Assignment) -> float:
        """Return the seconds of decoding and all epochs, from one measured step."""
        rows, recipe = assignment.rows, assignment.carried_out
        numerics = Numerics.of(assignment.settled)
        a_step = self._pace(self._size(assignment), recipe.batch, numerics, recipe.norm)
        return 0.5 + rows * (0.001 + 1.3 * recipe.epochs * a_step / recipe.batch)

    def settle(self, assignment: Assignment) -> dict[str, Any]:
        """Return the numerics in which the network trains fastest."""
        size, recipe = self._size(assignment), assignment.recipe
        batch, norm = recipe.batch, recipe.norm
        found = fastest(
            ["small-cnn", WIDTH, size, batch],
            lambda numerics, longest: _step_seconds(size, batch, numerics, norm, longest),
        )
        return vars(found)

    def fit(self, assignment: Assignment) -> Fitted:
        """Return the network with the best weights by validation."""
        task = assignment.task
        recipe = assignment.carried_out
        size = assignment.settled.get("size") or self._size(assignment)
        spec = task.head(4 * WIDTH, assignment.spec)
        torch.manual_seed(assignment.seed)
        network = small_cnn(WIDTH, spec.outputs)
        numerics = Numerics.of(assignment.settled)
        numerics.lay_out(network)
        kind = recipe.modality
        pixels = concatenated([_pixels(piece, kind, size) for piece in assignment.train])
        targets = torch.from_numpy(assignment.targets)
        rows = len(targets)

        def step(taken: Tensor, epoch: int) -> Tensor:
            random = np.random.default_rng((assignment.seed, epoch, int(taken[0])))
            some = _shifted(normalised(pixels.take(taken)["pixels"]), random)
            outputs = _outputs(network, numerics, some)
            return task.loss(outputs, targets[taken], assignment.spec, recipe.smoothing)

        held = None if assignment.validation is None else _pixels(assignment.validation, kind, size)

        def outputs(_rows: Rows) -> Tensor:
            assert held is not None
            parts = AtOnce(_EVALUATED).over(
                torch.arange(len(held)),
                lambda some: _outputs(network, numerics, normalised(held.take(some)["pixels"])),
            )
            return torch.cat(parts)

        trained = train(
            network,
            {HEAD: list(network.parameters())},
            recipe.phases,
            rows,
            recipe.batch,
            step,
            decay=recipe.decay,
            seed=assignment.seed,
            evaluate=assignment.evaluator(outputs),
            choose=assignment.choosing,
            patience=recipe.patience,
            late=assignment.late,
            norm=recipe.norm,
            checkpoint=assignment.checkpoint,
            watch=assignment.watch,
        )
        return Fitted(
            SmallCnn(network.cpu(), size, WIDTH, spec.outputs, kind),
            {**assignment.settled, EPOCHS: len(trained.history), "size": size},
            "none",
            trained.cut_short,
            tuple(vars(epoch) for epoch in trained.history),
        )

    def _pace(self, size: int, batch: int, numerics: Numerics, norm: Norm) -> float:
        """Return the seconds of a step, measured the first time in this process."""
        known = (size, batch, numerics, norm)
        if known not in self._paces:
            self._paces[known] = _step_seconds(size, batch, numerics, norm, LONGEST)
        return self._paces[known]

    def _size(self, assignment: Assignment) -> int:
        kind = assignment.recipe.modality
        inputs = assignment.train[0].data.of(kind).inputs
        chosen = inputs[:: max(1, len(inputs) // _SEEN)]
        return right_size(modalities.get(kind).sizes(chosen), assignment.recipe.scale)


def _outputs(network: nn.Module, numerics: Numerics, pixels: Tensor) -> Tensor:
    with numerics.autocast():
        outputs: Tensor = network(numerics.laid_out(pixels))
    return outputs.float().cpu()


def _step_seconds(size: int, batch: int, numerics: Numerics, norm: Norm, longest: float) -> float:
    """Return the seconds of a step on pictures that are made up."""
    network = small_cnn(WIDTH, 10)
    numerics.lay_out(network)
    pixels = torch.zeros(batch, 3, size, size)
    return step_seconds(
        network,
        {HEAD: list(network.parameters())},
        lambda taken, _epoch: _outputs(network, numerics, pixels[taken]).sum(),
        batch,
        norm,
        longest,
    )


def _pixels(rows: Rows, kind: str, size: int) -> Values:
    return inputs(rows.data.of(kind), Preprocessing({"size": size}, {}), cache=ActivationCache())


def _shifted(pixels: Tensor, random: np.random.Generator) -> Tensor:
    """Shift a batch by up to an eighth of its size, the edge repeated."""
    reach = pixels.shape[-1] // 8
    padded = torch.nn.functional.pad(pixels, [reach] * 4, mode="replicate")
    down, right = random.integers(0, 2 * reach + 1, 2).tolist()
    size = pixels.shape[-1]
    return padded[:, :, down : down + size, right : right + size]


learners.register("small-cnn", LearnSmallCnn())
