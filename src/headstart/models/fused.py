"""Several models whose outputs are averaged, each reading its own part of a row's inputs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TypeVar

import torch

from headstart.data.dataset import Dataset
from headstart.models import Model, Response, Saved, model_kinds, restore

T = TypeVar("T")


class Fused(Model):
    """Averages outputs: logits as a product of experts does (Hinton, 2002), numbers as a mean."""

    def __init__(self, models: Sequence[Model]) -> None:
        self.models = tuple(models)

    def respond(self, rows: Dataset) -> Response:
        """Return outputs (rows, outputs), and the features of all models beside one another."""
        found = [model.respond(rows) for model in self.models]
        seen = [one.features for one in found if one.features is not None]
        return Response(
            torch.stack([one.outputs for one in found]).mean(0),
            torch.cat(seen, 1) if seen else None,
        )

    def saved(self) -> Saved:
        """Return the models, the names of their tensors and texts after their number."""
        parts = [model.saved() for model in self.models]
        return Saved(
            kind="fused",
            config={"parts": [{"kind": part.kind, "config": part.config} for part in parts]},
            tensors={
                f"{i}.{n}": t for i, part in enumerate(parts) for n, t in part.tensors.items()
            },
            texts={f"{i}.{n}": t for i, part in enumerate(parts) for n, t in part.texts.items()},
        )


def _under(start: str, named: Mapping[str, T]) -> dict[str, T]:
    return {n.removeprefix(start): value for n, value in named.items() if n.startswith(start)}


def restore_fused(saved: Saved) -> Fused:
    """Return saved models."""
    models = []
    for i, part in enumerate(saved.config["parts"]):
        tensors, texts = _under(f"{i}.", saved.tensors), _under(f"{i}.", saved.texts)
        models.append(restore(Saved(part["kind"], part["config"], tensors, texts)))
    return Fused(models)


model_kinds.register("fused", restore_fused)
