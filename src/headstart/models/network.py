"""A backbone with a head: what transfer learning, and the same architecture from scratch, make."""

from __future__ import annotations

import time

import numpy as np
import torch
from torch import Tensor, nn

from headstart.data.dataset import Dataset
from headstart.data.modalities import Preprocessing
from headstart.digest import digest_bytes, digest_data
from headstart.errors import UsageError
from headstart.features.extract import Extractor
from headstart.features.values import Part, Values, assembled, below
from headstart.models import Model, Response, Saved, model_kinds
from headstart.models.heads import HeadSpec
from headstart.sources.families import families
from headstart.sources.staged import Backbone, Boundary, pooled
from headstart.sources.writing import Writer

AT_ONCE = 32
"""Rows that are written at a time, since what is written from is large."""
WRITING = "writing"
"""Of an extractor's rates: how many rows a second are written down from its features."""
OWN = "own"
"""Kind of a head that the source brings."""
_FEW = 64
"""Rows that are computed as they are sooner than a network is converted to an engine."""


class Network(Model):
    """A whole network; its backbone runs in the fastest engine that agrees with eager PyTorch.

    Parameters
    ----------
    backbone
        With the weights it shall answer with.
    head, spec
        The trained head and what it is.
    output
        What the head takes of the backbone: ``pooled``, ``map`` or ``sequence``.
    extractor
        Of the untouched source, where the backbone is one, so that its cached values serve.
    fresh
        It was just trained, and may be thrown away soon: a few rows it answers as it is, sooner
        than it could be converted.
    """

    def __init__(
        self,
        backbone: Backbone,
        head: nn.Module,
        spec: HeadSpec,
        output: str = "pooled",
        extractor: Extractor | None = None,
        fresh: bool = False,
    ) -> None:
        self.backbone = backbone
        # training may have laid it out otherwise, in which it would round otherwise
        self.head = head.eval().to(memory_format=torch.contiguous_format)
        self.spec = spec
        self.output = output
        self._extractor = extractor
        self._fresh = fresh

    @property
    def preprocessing(self) -> Preprocessing:
        """Return that of the backbone."""
        return self.backbone.preprocessing

    def respond(self, rows: Dataset) -> Response:
        """Return the head's outputs (rows, …), and the backbone's features pooled (rows, width)."""
        values = self._values(rows)
        if isinstance(self.head, Writer):
            return self._written(values)
        found = [{"outputs": self._answered(some), **_pooled(some)} for some in values.chunks()]
        return _response(below(found))

    def features(self, rows: Dataset) -> Tensor:
        """Return the backbone's features pooled, (rows, width), without answering."""
        return below([_pooled(some) for some in self._values(rows).chunks()])["features"]

    def follow(self, beams: int) -> None:
        """Let texts be the most probable of so many beginnings that are followed.

        Raises
        ------
        UsageError
            If it does not write word by word.
        """
        if not isinstance(self.head, Writer) or self.head.beams is None:
            raise UsageError("beams are for models that write a text word by word, as Whisper does")
        self.head.beams = beams

    def _values(self, rows: Dataset) -> Values:
        return self._extracting(len(rows)).extract(rows, self.backbone.end)

    def _answered(self, value: Boundary) -> Tensor:
        with torch.no_grad():
            outputs: Tensor = self.head({name: _float(v) for name, v in value.items()})
        return outputs.float()

    def _written(self, values: Values) -> Response:
        """Return what is written, of few rows at a time, whose lengths are about the same."""
        lengths, found, seconds = values.lengths(), list[Part](), 0.0
        order = np.arange(len(values)) if lengths is None else np.argsort(lengths, kind="stable")
        for start in range(0, len(order), AT_ONCE):
            rows = order[start : start + AT_ONCE]
            some = values.take(rows)
            started = time.perf_counter()
            outputs = self._answered(some)
            seconds += time.perf_counter() - started
            found.append((rows, {"outputs": outputs, **_pooled(some)}))
        if self._extractor is not None:
            self._extractor.rates[WRITING] = len(values) / max(seconds, 1e-9)
        return _response(assembled(found), seconds)

    def _extracting(self, rows: int) -> Extractor:
        """Return what computes features of so many rows."""
        if self._extractor is None:
            if self._fresh and rows <= _FEW:
                return Extractor(self.backbone, "fresh", cache=None, order=("eager",))
            self._extractor = Extractor(self.backbone, self._digest(), cache=None)
        return self._extractor

    def _digest(self) -> str:
        """Return a digest of all that the backbone's answer depends on."""
        backbone = self.backbone
        settings = dict(backbone.preprocessing.settings)
        architecture = [backbone.family, backbone.config, self.output, settings]
        return digest_data([architecture, digest_weights(backbone.model)])

    def saved(self) -> Saved:
        """Return architecture, preprocessing and all weights."""
        tensors = {f"backbone.{n}": v for n, v in self.backbone.model.state_dict().items()}
        tensors |= {f"head.{n}": v for n, v in self.head.state_dict().items()}
        return Saved(
            kind="network",
            config={
                "family": self.backbone.family,
                "architecture": self.backbone.config,
                "preprocessing": dict(self.backbone.preprocessing.settings),
                "output": self.output,
                "head": vars(self.spec),
            },
            tensors=tensors,
            texts=self.backbone.preprocessing.files,
        )


def headed(backbone: Backbone, spec: HeadSpec) -> tuple[HeadSpec, nn.Module]:
    """Return what stands on a backbone: its own writer where it brings one, else a fresh head."""
    if backbone.writer is None:
        return spec, spec.build()
    own = HeadSpec(OWN, backbone.width, 0, letters=spec.letters)
    return own, backbone.writer.taught(spec.letters)


def _response(found: Boundary, writing: float = 0.0) -> Response:
    return Response(found["outputs"], found["features"], writing)


def _pooled(value: Boundary) -> Boundary:
    """Return the features of rows, each pooled over its positions."""
    return {"features": pooled(value["features"].float(), value.get("attention_mask"))}


def _float(value: Tensor) -> Tensor:
    return value.float() if value.is_floating_point() else value


def digest_weights(model: nn.Module) -> str:
    """Return a digest of all weights and buffers."""
    return digest_data(
        {
            name: digest_bytes(value.detach().contiguous().view(-1).view(torch.uint8).numpy())
            for name, value in model.state_dict().items()
        }
    )


def restore_network(saved: Saved) -> Network:
    """Return a saved network."""
    config = saved.config
    preprocessing = Preprocessing(config["preprocessing"], saved.texts)
    backbone = families.get(config["family"]).build(
        config["architecture"], preprocessing, config["output"]
    )
    spec = HeadSpec(**config["head"])
    _, head = headed(backbone, spec)
    for module, start in ((backbone.model, "backbone."), (head, "head.")):
        module.load_state_dict(
            {n.removeprefix(start): v for n, v in saved.tensors.items() if n.startswith(start)}
        )
    return Network(backbone, head, spec, config["output"])


model_kinds.register("network", restore_network)
