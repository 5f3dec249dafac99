"""The right-sized small model for recordings: how loud each band is, and how it varies; linear."""

from __future__ import annotations

from torch import Tensor

from headstart.data.dataset import Dataset
from headstart.data.modalities import Preprocessing
from headstart.features.cache import ActivationCache
from headstart.features.extract import inputs
from headstart.features.values import Values
from headstart.models import Model, Response, Saved, model_kinds

BANDS = 64


def statistics(rows: Dataset, cache: ActivationCache | None = None) -> Values:
    """Return what is said of each band of each recording: ``statistics`` (rows, numbers)."""
    return inputs(rows.of("audio"), Preprocessing({"statistics": BANDS}, {}), cache=cache)


class SoundModel(Model):
    """Outputs that are linear in the statistics of log-mel bands.

    Parameters
    ----------
    weight, bias
        (outputs, numbers) and (outputs,).
    """

    def __init__(self, weight: Tensor, bias: Tensor) -> None:
        self.weight = weight
        self.bias = bias

    def respond(self, rows: Dataset) -> Response:
        """Return outputs (rows, outputs), and the statistics (rows, numbers)."""
        found = statistics(rows).whole()["statistics"]
        return Response(found @ self.weight.T + self.bias, found)

    def saved(self) -> Saved:
        """Return the numbers."""
        return Saved("sound", {}, {"weight": self.weight, "bias": self.bias})


def restore_sound(saved: Saved) -> SoundModel:
    """Return a saved model."""
    return SoundModel(saved.tensors["weight"], saved.tensors["bias"])


model_kinds.register("sound", restore_sound)
