"""A model whose outputs are moved by constants, so that it decides as a metric asks for."""

from __future__ import annotations

from torch import Tensor

from headstart.data.dataset import Dataset
from headstart.models import Model, Response, Saved, model_kinds, restore

_INNER = "inner."


class Adjusted(Model):
    """Answers with `inner`'s outputs plus `offsets` (outputs,)."""

    def __init__(self, inner: Model, offsets: Tensor) -> None:
        self.inner = inner
        self.offsets = offsets.float()

    def respond(self, rows: Dataset) -> Response:
        """Return outputs (rows, outputs) that are moved, and the inner model's features."""
        found = self.inner.respond(rows)
        return Response(found.outputs + self.offsets, found.features)

    def saved(self) -> Saved:
        """Return the inner model's data, with the offsets beside its tensors."""
        inner = self.inner.saved()
        tensors = {_INNER + name: value for name, value in inner.tensors.items()}
        return Saved(
            "adjusted",
            {"kind": inner.kind, "config": dict(inner.config)},
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
    return Adjusted(restore(inner), saved.tensors["offsets"])


model_kinds.register("adjusted", restore_adjusted)
