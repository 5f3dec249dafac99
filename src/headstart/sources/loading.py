"""Loading a source: its files are checked, its weights read as tensors and nothing else."""

from __future__ import annotations

import json
import pickle
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from torch import Tensor

from headstart.data.modalities import Preprocessing
from headstart.digest import digest_data, digest_file
from headstart.errors import SourceError
from headstart.sources.catalogue import Source, Tensors
from headstart.sources.families import Output, families
from headstart.sources.fetching import fetch, kept_digest
from headstart.sources.packages import Say
from headstart.sources.staged import Backbone


@dataclass(frozen=True)
class LoadedSource:
    """A backbone with the identity of the weights in it; `digest` names both and goes into keys."""

    source: Source
    backbone: Backbone
    digest: str


def load_source(
    source: Source, output: Output = "pooled", say: Say = lambda _message: None
) -> LoadedSource:
    """Fetch if need be, check and load a source.

    Raises
    ------
    SourceError
        If a file is missing, its sha256 differs, or it holds anything but tensors.
    """
    if source.parts:
        return _together(source, [load_source(part, output, say) for part in source.parts])
    folder = fetch(source, say)
    digests = check_files(source, folder)
    config = source.config
    if isinstance(config, str):
        config = json.loads((folder / config).read_text(encoding="utf-8"))
    texts = source.texts
    if not isinstance(texts, Mapping):
        texts = {name: (folder / name).read_text(encoding="utf-8") for name in texts}
    preprocessing = Preprocessing(source.settings, texts)
    backbone = families.get(source.family).build(config, preprocessing, output)
    fresh = backbone.weights()
    tensors = source.read(folder) if source.read else read_tensors(folder / source.weights)
    state = source.convert(tensors, fresh)
    wrong = [name for name in fresh if name not in state or state[name].shape != fresh[name].shape]
    if wrong:
        raise SourceError(f"{source.id}: the weights do not fit the network (first: {wrong[0]}).")
    backbone.load(state)
    backbone.head = head_among(tensors, backbone.width)
    identity = [source.id, output, *sorted(digests)]
    return LoadedSource(source, backbone, digest_data(identity))


HEADS = frozenset({"fc", "_fc", "classifier", "head", "last_linear", "score"})
"""What networks call the layer that answers."""


def head_among(tensors: Tensors, width: int) -> tuple[Tensor, Tensor] | None:
    """Return weights (c, width) and biases (c,) of the one linear head among tensors, if any."""
    found = [
        (weight, tensors[f"{path}.bias"])
        for name, weight in tensors.items()
        if (path := name.removesuffix(".weight")) != name
        and HEADS & set(path.split("."))
        and weight.ndim == 2
        and weight.shape[1] == width
        and f"{path}.bias" in tensors
    ]
    return found[0] if len(found) == 1 else None


def _together(source: Source, parts: Sequence[LoadedSource]) -> LoadedSource:
    """Return loaded sources as one, side by side."""
    backbones = {part.source.modality: part.backbone for part in parts}
    config = {n: {"family": b.family, "config": b.config} for n, b in backbones.items()}
    settings = {name: dict(b.preprocessing.settings) for name, b in backbones.items()}
    files = {name: text for b in backbones.values() for name, text in b.preprocessing.files.items()}
    joint = families.get(source.family).build(config, Preprocessing(settings, files))
    for number, backbone in enumerate(backbones.values()):
        network = joint.model.get_submodule(f"network.{number}")
        network.load_state_dict(backbone.model.state_dict())
    return LoadedSource(source, joint, digest_data([part.digest for part in parts]))


def check_files(source: Source, folder: Path) -> list[str]:
    """Return the sha256 of each file of a source; raise `SourceError` if it is not what it was."""
    digests = []
    for file in source.files:
        expected = kept_digest(file, folder) or "nothing"
        check_digest(folder / file.name, expected, source.id)
        digests.append(expected)
    return digests


def check_digest(path: Path, sha256: str, owner: str) -> None:
    """Raise `SourceError` unless the file has this sha256."""
    actual = digest_file(path)
    if actual != sha256:
        raise SourceError(
            f"{path} of {owner} is damaged or was exchanged: its sha256 begins {actual[:12]}, "
            f"not {sha256[:12]}. Delete the file; `headstart sources fetch {owner}` brings it anew."
        )


def read_tensors(path: Path) -> Tensors:
    """Read a safetensors or PyTorch file as named tensors; no code in it is ever run.

    Raises
    ------
    SourceError
        If the file is damaged, or holds anything besides tensors (a pickle with code in it).
    """
    try:
        if path.suffix == ".safetensors":
            from safetensors.torch import load_file

            return load_file(path)
        content = torch.load(path, map_location="cpu", weights_only=True)
    except pickle.UnpicklingError:
        raise SourceError(
            f"{path} holds more than tensors and was refused: loading it could run code. "
            "Ask for the weights as safetensors."
        ) from None
    except Exception as error:  # a damaged file can fail anywhere in a parser
        raise SourceError(f"{path} is damaged: {error}") from None
    if not isinstance(content, dict) or not all(torch.is_tensor(v) for v in content.values()):
        raise SourceError(f"{path} is no plain mapping of names to tensors.")
    return dict(content)
