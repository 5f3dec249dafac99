"""Heads: the small part that is always trained, from a backbone's features to a task's outputs."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn

from headstart.features.values import Values
from headstart.registry import Registry
from headstart.sources.ctc import Ctc


@dataclass(frozen=True)
class HeadSpec:
    """What a head is, as data: a registered kind, channels in, channels out.

    One that writes letter by letter has the `letters` that it can write.
    """

    kind: str
    width: int
    outputs: int
    letters: str = ""

    def build(self) -> nn.Module:
        """Return the head with fresh weights."""
        return heads.get(self.kind)(self)


heads: Registry[Callable[[HeadSpec], nn.Module]] = Registry("head", "headstart.models")


class LinearHead(nn.Module):
    """One linear layer on pooled features, zero at first: before training, all outputs tie."""

    def __init__(self, width: int, outputs: int) -> None:
        super().__init__()
        self.linear = nn.Linear(width, outputs)
        nn.init.zeros_(self.linear.weight)
        nn.init.zeros_(self.linear.bias)

    def forward(self, value: dict[str, Tensor]) -> Tensor:
        """Map ``features`` (rows, width) to (rows, outputs)."""
        logits: Tensor = self.linear(value["features"])
        return logits


class LayersHead(LinearHead):
    """One linear layer on the summaries of the middle stages beside the pooled features."""

    def forward(self, value: dict[str, Tensor]) -> Tensor:
        """Map ``layers`` and ``features`` to (rows, outputs)."""
        return super().forward({"features": readout(value, "layers")})


def readout(value: dict[str, Tensor], kind: str) -> Tensor:
    """Return what a head of `kind` reads of a backbone's boundary value at its end."""
    if kind == "layers" and "layers" in value:  # a shallow backbone has no middle
        return torch.cat([value["layers"], value["features"]], 1)
    return value["features"]


class Readout:
    """What a head of `kind` reads of many rows, some of them at a time: a matrix on disk.

    Parameters
    ----------
    values
        At the end of a backbone.
    kind
        Registered head.
    """

    def __init__(self, values: Values, kind: str) -> None:
        self._values = values
        self._kind = kind
        self.shape = (len(values), self._read(values.take([0])).shape[1])

    def take(self, rows: np.ndarray) -> np.ndarray:
        """Return some rows (m, width) float32, in the order asked for."""
        return self._read(self._values.take(rows))

    def chunks(self) -> Iterator[np.ndarray]:
        """Yield all rows in order, (some, width) float32."""
        yield from map(self._read, self._values.chunks())

    def _read(self, values: dict[str, Tensor]) -> np.ndarray:
        return readout(values, self._kind).float().numpy()


heads.register("ctc", lambda spec: Ctc(spec.width, spec.letters))
heads.register("linear", lambda spec: LinearHead(spec.width, spec.outputs))
heads.register("layers", lambda spec: LayersHead(spec.width, spec.outputs))
