"""Saving a model as a folder of data: tensors, JSON, texts; nothing in it is ever run."""

from __future__ import annotations

import glob
import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from headstart.digest import digest_file
from headstart.errors import ArtifactError
from headstart.evidence.novelty import Novelty
from headstart.models import Model
from headstart.tasks import TargetSpec

SCHEMA = 1
DESCRIPTION = "artifact.json"
WEIGHTS = "model.safetensors"
NOVELTY = "novelty.safetensors"
LARGE = 1_000
"""Values of a tensor that is looked for among others: smaller ones are written as they come."""


@dataclass(frozen=True)
class Artifact:
    """A model with what is needed to use it: its task, what its outputs mean, how it did.

    `novelty` tells rows unlike the training rows; None where that is not known.
    """

    model: Model
    task: str
    spec: TargetSpec
    metric: str
    card: str = ""
    facts: Mapping[str, Any] = field(default_factory=dict)
    novelty: Novelty | None = None


def save(artifact: Artifact, folder: Path) -> None:
    """Write `artifact` to `folder`, replacing what was there in one step.

    Raises
    ------
    ArtifactError
        If the folder cannot be written (read-only, disk full), or holds something else.
    """
    require_place(folder)
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        _sweep(folder)
        scratch = Path(tempfile.mkdtemp(dir=folder.parent, prefix=_beginning(folder)))
        try:
            _write(artifact, scratch)
            _replace(scratch, folder)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    except (OSError, SafetensorError) as error:
        why = getattr(error, "strerror", None) or error
        raise ArtifactError(
            f"{folder} cannot be written ({why}). Choose another place with --out, or make room."
        ) from None


def require_place(folder: Path) -> None:
    """Raise `ArtifactError` where `folder` holds anything but a saved model, which is replaced."""
    ours = (folder / DESCRIPTION).is_file()
    if folder.exists() and not ours and not (folder.is_dir() and not any(folder.iterdir())):
        raise ArtifactError(f"{folder} is there and holds no saved model: choose another place.")


def _beginning(folder: Path) -> str:
    """Return how the names begin of what stands beside `folder` while it is saved."""
    return f".{folder.absolute().name}-headstart-"


def _sweep(folder: Path) -> None:
    """Delete what processes that were killed while saving to `folder` have left beside it."""
    for left in folder.parent.glob(f"{glob.escape(_beginning(folder))}*"):
        if left.name != beside(folder).name:
            shutil.rmtree(left, ignore_errors=True)


def _write(artifact: Artifact, folder: Path) -> None:
    saved = artifact.model.saved()
    weights, repeated = _once(saved.tensors)
    files: dict[str, Mapping[str, Tensor]] = {WEIGHTS: weights}
    if artifact.novelty is not None:
        files[NOVELTY] = artifact.novelty.tensors()
    for name, tensors in files.items():
        save_file({n: value.contiguous() for n, value in tensors.items()}, folder / name)
    for name, text in saved.texts.items():
        _write_text(folder / name, text)
    described = {
        "schema": SCHEMA,
        "headstart": version("headstart"),
        "task": artifact.task,
        "target": dict(artifact.spec),
        "metric": artifact.metric,
        "model": {"kind": saved.kind, "config": saved.config, "repeated": repeated},
        "texts": sorted(saved.texts),
        "novelty": NOVELTY if artifact.novelty is not None else None,
        "sha256": {name: digest_file(folder / name) for name in (*files, *sorted(saved.texts))},
        "facts": dict(artifact.facts),
    }
    if artifact.card:
        _write_text(folder / "README.md", artifact.card)
    _write_text(folder / DESCRIPTION, json.dumps(described, indent=1, ensure_ascii=False))


def _once(tensors: Mapping[str, Tensor]) -> tuple[dict[str, Tensor], dict[str, str]]:
    """Return each large tensor once, and which names repeat another, with that other's name.

    Models that answer together may start from the same backbone, which is then written once.
    """
    alike: dict[tuple[object, ...], list[str]] = {}
    kept: dict[str, Tensor] = {}
    repeated: dict[str, str] = {}
    for name, value in tensors.items():
        value = value.detach()
        if value.numel() < LARGE:
            kept[name] = value.clone()  # safetensors refuses what shares memory
            continue
        others = alike.setdefault((value.dtype, value.shape), [])
        first = next((other for other in others if torch.equal(kept[other], value)), None)
        if first is None:
            kept[name] = value
            others.append(name)
        else:
            repeated[name] = first
    return kept, repeated


def _write_text(path: Path, text: str) -> None:
    """Write a text; what is no Unicode in a file's name is spelt out."""
    path.write_text(text, encoding="utf-8", errors="backslashreplace")


def _replace(new: Path, folder: Path) -> None:
    """Put `new` in the place of `folder`; a stop at any step leaves one of them whole.

    So does a power cut: what is written is on the disk before it has its name.
    """
    new.chmod(0o755)
    for file in new.iterdir():  # others may use the model as well
        file.chmod(0o644)
        with file.open("rb") as written:
            os.fsync(written.fileno())
    old = beside(folder)
    if folder.exists():
        shutil.rmtree(old, ignore_errors=True)
        os.replace(folder, old)
    os.replace(new, folder)
    shutil.rmtree(old, ignore_errors=True)


def beside(folder: Path) -> Path:
    """Return where what was in `folder` is kept for the moment in which it is replaced."""
    here = folder.absolute()
    return here.with_name(f"{_beginning(folder)}old") if here.name else here
