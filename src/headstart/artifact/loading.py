"""Loading a saved model, from its own folder or from a run folder."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from safetensors.torch import load_file

from headstart.artifact.saving import DESCRIPTION, SCHEMA, WEIGHTS, Artifact, beside
from headstart.digest import digest_file
from headstart.errors import ArtifactError, UsageError
from headstart.evidence.novelty import Novelty
from headstart.models import Saved, restore

_KEYS = {"task", "target", "metric", "model", "texts", "sha256", "facts"}


def load(path: str | Path) -> Artifact:
    """Return the artifact in `path`, or in its ``model`` folder.

    Raises
    ------
    ArtifactError
        If there is none, it is of a newer headstart, or it was damaged or changed.
    """
    folder = _folder(Path(path))
    described = _described(folder)
    novelty: str | None = described.get("novelty")  # artifacts of 0.1 have none
    for name in (WEIGHTS, *described["texts"], *([novelty] if novelty else [])):
        _check(folder, name, described["sha256"].get(name))
    tensors = load_file(folder / WEIGHTS)
    texts = {name: _text(folder, name) for name in described["texts"]}
    try:
        kind, config = described["model"]["kind"], described["model"]["config"]
        repeated: dict[str, str] = described["model"].get("repeated", {})
        tensors |= {name: tensors[first] for name, first in repeated.items()}
        model = restore(Saved(kind, config, tensors, texts))
    except (UsageError, KeyError, TypeError, ValueError, RuntimeError) as error:
        raise ArtifactError(
            f"{folder} holds a model that cannot be made here ({error}). It may be of another "
            "headstart, or changed by hand."
        ) from None
    return Artifact(
        model=model,
        task=described["task"],
        spec=described["target"],
        metric=described["metric"],
        card=_text(folder, "README.md") if (folder / "README.md").is_file() else "",
        facts=described["facts"],
        novelty=Novelty(**load_file(folder / novelty)) if novelty else None,
    )


def _folder(path: Path) -> Path:
    """Return where the artifact is; where saving was stopped in between, what was there before."""
    for folder in (path, path / "model"):
        for place in (folder, beside(folder)):
            if (place / DESCRIPTION).is_file():
                return place
    if not path.exists():
        raise ArtifactError(f"{path}: there is no such folder.")
    raise ArtifactError(
        f"{path} holds no saved model: neither {DESCRIPTION} nor a model/ folder with one. "
        "Give the run folder of `headstart fit`, or the model/ folder in it."
    )


def read_versioned(path: Path, known: int) -> dict[str, Any]:
    """Return what a JSON file of headstart says, if its ``schema`` is at most the `known` one.

    Raises
    ------
    ArtifactError
        If it cannot be read, is damaged, or is of a newer headstart.
    """
    try:
        content: dict[str, Any] = json.loads(_text(path.parent, path.name))
        schema = int(content["schema"])
    except (ValueError, KeyError, TypeError) as error:
        raise ArtifactError(f"{path} is damaged ({error!r}).") from None
    if schema > known:
        raise ArtifactError(
            f"{path} was saved by headstart {content.get('headstart')} in a newer form "
            f"({schema}; this one reads {known}). Update headstart."
        )
    return content


def _described(folder: Path) -> dict[str, Any]:
    described = read_versioned(folder / DESCRIPTION, SCHEMA)
    lacking = _KEYS - described.keys()
    if lacking:
        raise ArtifactError(f"{folder / DESCRIPTION} is damaged (no {', '.join(sorted(lacking))}).")
    return described


def _check(folder: Path, name: str, sha256: str | None) -> None:
    if Path(name).name != name:
        raise ArtifactError(f"{folder}: the file name {name!r} leads out of the folder.")
    path = folder / name
    try:
        whole = path.is_file() and digest_file(path) == sha256
    except OSError as error:
        raise ArtifactError(f"{path} cannot be read ({error.strerror}).") from None
    if not whole:
        raise ArtifactError(
            f"{path} is missing, damaged or was changed: its sha256 is not the one that "
            f"{DESCRIPTION} names. Copy the folder again from where it was made."
        )


def _text(folder: Path, name: str) -> str:
    try:
        return (folder / name).read_text(encoding="utf-8", errors="replace")
    except OSError as error:
        raise ArtifactError(f"{folder / name}: {error.strerror}.") from None
