"""A model whose outputs are moved and scaled: to decide as is wanted, to be as sure as right."""

from __future__ import annotations

from dataclasses import replace

import torch
from torch import Tensor

from headstart.data.dataset import Dataset
from headstart.data.modalities import Preprocessing
from headstart.models import Model, Response, Saved, model_kinds, restore

_INNER = "inner."


class Adjusted(Model):
    """Answers with `inner`'s outputs plus `offsets` (outputs,), over a temperature.

    Offsets change decisions; the temperature does not, but how probable they are said to be (Guo,
    Pleiss, Sun and Weinberger, On Calibration of Modern Neural Networks, ICML 2017).
    """

    def __init__(
        self, inner: Model, offsets: Tensor | None = None, temperature: float = 1.0
    ) -> None:
        self.inner = inner
        self.offsets = torch.zeros(()) if offsets is None else offsets.float()
        self.temperature = temperature

    @property
    def preprocessing(self) -> Preprocessing | None:
        """Return how the inner model reads its inputs."""
        return self.inner.preprocessing

    def respond(self, rows: Dataset) -> Response:
        """Return outputs (rows, outputs) moved and scaled, and the inner model's features."""
        found = self.inner.respond(rows)
        return replace(found, outputs=(found.outputs + self.offsets) / self.temperature)

    def saved(self) -> Saved:
        """Return the inner model's data, with offsets and temperature beside it."""
        inner = self.inner.saved()
        tensors = {_INNER + name: value for name, value in inner.tensors.items()}
        return Saved(
            "adjusted",
            {
                "kind": inner.kind,
                "config": dict(inner.config),
                "temperature": self.temperature,
            },
            {**tensors, "offsets": self.offsets},
            inner.texts,
        )


def restore_adjusted(saved: Saved) -> Adjusted:
    """Return a saved model."""
    tensors = {
        name.removeprefix(_INNER): value
        for name, value in saved.tensors.items()
        if name.startswith(_INNER)
    }
    inner = Saved(saved.config["kind"], saved.config["config"], tensors, saved.texts)
    temperature = saved.config.get("temperature", 1.0)  # files of headstart 0.1 have none
    return Adjusted(restore(inner), saved.tensors["offsets"], temperature)


model_kinds.register("adjusted", restore_adjusted)
