"""Floor 4: what maps rows to outputs, saved as data: tensors, settings, texts. One file each.

A network with a head start, a small network without, a linear model on words and a constant are all
the same to the floors above: they answer with one row of outputs for each row of inputs.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from torch import Tensor

from headstart.data.dataset import Dataset
from headstart.registry import Registry


@dataclass(frozen=True)
class Saved:
    """A model as plain data; `config` is JSON data, `texts` are files such as a tokenizer."""

    kind: str
    config: Mapping[str, Any]
    tensors: Mapping[str, Tensor]
    texts: Mapping[str, str] = field(default_factory=dict)


class Model(Protocol):
    """A fitted model."""

    def outputs(self, rows: Dataset) -> Tensor:
        """Return the raw outputs (rows, …) float32 that a task decodes, such as logits."""

    def saved(self) -> Saved:
        """Return everything that is needed to restore the model elsewhere."""


Restore = Callable[[Saved], Model]
model_kinds: Registry[Restore] = Registry("kind of model", __name__)


def restore(saved: Saved) -> Model:
    """Return the model that was saved."""
    return model_kinds.get(saved.kind)(saved)
