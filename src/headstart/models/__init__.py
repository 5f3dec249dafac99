"""Floor 4: what maps rows to outputs, saved as data: tensors, settings, texts. One file each.

A network with a head start, a small network without, a linear model on words and a constant are all
the same to the floors above: they answer with one row of outputs for each row of inputs, and those
that look at their inputs, with the features they see them by.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Protocol

from torch import Tensor

from headstart.data.dataset import Dataset
from headstart.data.modalities import Preprocessing
from headstart.features.values import below
from headstart.registry import Registry

PIECE = 1024
"""Rows that a model looks at at a time where only their outputs are wanted."""


@dataclass(frozen=True)
class Saved:
    """A model as plain data; `config` is JSON data, `texts` are files such as a tokenizer."""

    kind: str
    config: Mapping[str, Any]
    tensors: Mapping[str, Tensor]
    texts: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True)
class Response:
    """What a model answers, and where it saw the rows; both come of one pass over them.

    Attributes
    ----------
    outputs
        (rows, …) float32, raw: what a task decodes, such as logits.
    features
        (rows, d) float32: the values from which the outputs were made, by which rows unlike those
        it learnt from are told; None of a model that does not look at its rows.
    writing
        Seconds of it in which texts were written, beyond the features.
    """

    outputs: Tensor
    features: Tensor | None = None
    writing: float = 0.0


class Model(Protocol):
    """A fitted model. A kind of model derives from this, for the methods that are given here."""

    @property
    def preprocessing(self) -> Preprocessing | None:
        """Return how it reads its inputs, where these can be too long for it; else None."""
        return None

    def respond(self, rows: Dataset) -> Response:
        """Return outputs and features of all rows; raise `Unreadable` where one is bad."""

    def features(self, rows: Dataset) -> Tensor | None:
        """Return the features of all rows alone, as `respond` does."""
        return self.respond(rows).features

    def outputs(self, rows: Dataset) -> Tensor:
        """Return the raw outputs (rows, …) float32 alone; few rows are looked at at a time."""
        return below([{"outputs": some.outputs} for some in self.responses(rows)])["outputs"]

    def responses(self, rows: Dataset) -> Iterator[Response]:
        """Yield what `respond` returns for `PIECE` rows after the other."""
        for start in range(0, len(rows), PIECE):
            yield self.respond(rows.take(range(start, min(start + PIECE, len(rows)))))

    def saved(self) -> Saved:
        """Return everything that is needed to restore the model elsewhere."""


Restore = Callable[[Saved], Model]
model_kinds: Registry[Restore] = Registry("kind of model", __name__)


def restore(saved: Saved) -> Model:
    """Return the model that was saved."""
    return model_kinds.get(saved.kind)(saved)
