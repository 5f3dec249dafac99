"""Saving a model as a folder of data: tensors, JSON, texts; nothing in it is ever run."""

from __future__ import annotations

import json
import os
import shutil
import tempfile
from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.metadata import version
from pathlib import Path
from typing import Any

from safetensors.torch import save_file

from headstart.digest import digest_file
from headstart.errors import ArtifactError
from headstart.evidence.novelty import Novelty
from headstart.models import Model
from headstart.tasks import TargetSpec

SCHEMA = 1
DESCRIPTION = "artifact.json"
WEIGHTS = "model.safetensors"
NOVELTY = "novelty.safetensors"


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
        If the folder cannot be written (read-only, disk full).
    """
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        _sweep(folder)
        scratch = Path(tempfile.mkdtemp(dir=folder.parent, prefix=f".{folder.name}-"))
        try:
            _write(artifact, scratch)
            _replace(scratch, folder)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    except OSError as error:
        raise ArtifactError(
            f"{folder} cannot be written ({error.strerror or error}). Choose another place with "
            "--out, or make room."
        ) from None


def _sweep(folder: Path) -> None:
    """Delete what processes that were killed while saving to `folder` have left beside it."""
    for left in folder.parent.glob(f".{folder.name}-*"):
        if left.name != beside(folder).name:
            shutil.rmtree(left, ignore_errors=True)


def _write(artifact: Artifact, folder: Path) -> None:
    saved = artifact.model.saved()
    files = {WEIGHTS: saved.tensors}
    if artifact.novelty is not None:
        files[NOVELTY] = artifact.novelty.tensors()
    for name, tensors in files.items():
        save_file({n: value.detach().contiguous() for n, value in tensors.items()}, folder / name)
    for name, text in saved.texts.items():
        (folder / name).write_text(text, encoding="utf-8")
    described = {
        "schema": SCHEMA,
        "headstart": version("headstart"),
        "task": artifact.task,
        "target": dict(artifact.spec),
        "metric": artifact.metric,
        "model": {"kind": saved.kind, "config": saved.config},
        "texts": sorted(saved.texts),
        "novelty": NOVELTY if artifact.novelty is not None else None,
        "sha256": {name: digest_file(folder / name) for name in (*files, *sorted(saved.texts))},
        "facts": dict(artifact.facts),
    }
    if artifact.card:
        (folder / "README.md").write_text(artifact.card, encoding="utf-8")
    (folder / DESCRIPTION).write_text(
        json.dumps(described, indent=1, ensure_ascii=False), encoding="utf-8"
    )


def _replace(new: Path, folder: Path) -> None:
    """Put `new` in the place of `folder`; a stop at any step leaves one of them whole."""
    new.chmod(0o755)
    old = beside(folder)
    if folder.exists():
        shutil.rmtree(old, ignore_errors=True)
        os.replace(folder, old)
    os.replace(new, folder)
    shutil.rmtree(old, ignore_errors=True)


def beside(folder: Path) -> Path:
    """Return where what was in `folder` is kept for the moment in which it is replaced."""
    here = folder.absolute()
    return here.with_name(f".{here.name}-old") if here.name else here
