"""Loading a saved model, from its own folder or from a run folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from safetensors.torch import load_file

from headstart.artifact.saving import DESCRIPTION, SCHEMA, WEIGHTS, Artifact
from headstart.digest import digest_file
from headstart.errors import ArtifactError
from headstart.models import Saved, restore


def load(path: str | Path) -> Artifact:
    """Return the artifact in `path`, or in its ``model`` folder.

    Raises
    ------
    ArtifactError
        If there is none, it is of a newer headstart, or it was damaged or changed.
    """
    folder = _folder(Path(path))
    described = _described(folder)
    weights = folder / WEIGHTS
    if not weights.is_file() or digest_file(weights) != described["sha256"][WEIGHTS]:
        raise ArtifactError(
            f"{weights} is missing, damaged or was changed: its sha256 is not the one that "
            f"{DESCRIPTION} names. Copy the folder again from where it was made."
        )
    texts = {name: _text(folder, name) for name in described["texts"]}
    saved = Saved(
        described["model"]["kind"], described["model"]["config"], load_file(weights), texts
    )
    return Artifact(
        model=restore(saved),
        task=described["task"],
        spec=described["target"],
        metric=described["metric"],
        card=_text(folder, "README.md") if (folder / "README.md").is_file() else "",
        facts=described["facts"],
    )


def _folder(path: Path) -> Path:
    for folder in (path, path / "model", path.with_name(f".{path.name}-old")):
        if (folder / DESCRIPTION).is_file():
            return folder
    if not path.exists():
        raise ArtifactError(f"{path}: there is no such folder.")
    raise ArtifactError(
        f"{path} holds no saved model: neither {DESCRIPTION} nor a model/ folder with one. "
        "Give the run folder of `headstart fit`, or the model/ folder in it."
    )


def _described(folder: Path) -> dict[str, Any]:
    try:
        described: dict[str, Any] = json.loads(_text(folder, DESCRIPTION))
        schema = int(described["schema"])
    except (ValueError, KeyError, TypeError) as error:
        raise ArtifactError(f"{folder / DESCRIPTION} is damaged ({error}).") from None
    if schema > SCHEMA:
        raise ArtifactError(
            f"{folder} was saved by headstart {described.get('headstart')} in a newer form "
            f"({schema}; this one reads {SCHEMA}). Update headstart."
        )
    return described


def _text(folder: Path, name: str) -> str:
    if Path(name).name != name:
        raise ArtifactError(f"{folder}: the file name {name!r} leads out of the folder.")
    try:
        return (folder / name).read_text(encoding="utf-8")
    except OSError as error:
        raise ArtifactError(f"{folder / name}: {error.strerror}.") from None
