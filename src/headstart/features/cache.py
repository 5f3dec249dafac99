"""The cache of boundary values: what frozen layers computed once, kept on disk for every run."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Sequence
from pathlib import Path

from safetensors import SafetensorError
from safetensors.torch import load_file, save_file

from headstart.digest import digest_data
from headstart.places import cache_folder
from headstart.sources.staged import Boundary

LIMIT = 20 * 2**30
"""Bytes beyond which the values used longest ago are deleted."""
FORMAT = 1
"""Changes when the same key would come to mean other values."""


def key_of(
    source: str, cut: str, preprocessing: object, view: object, engine: str, rows: Sequence[str]
) -> str:
    """Return the name under which a boundary value is kept.

    It changes with whatever would change the value: the source's digest, the cut, preprocessing,
    view, engine and precision, and the content of the rows in their order.
    """
    return digest_data([FORMAT, source, cut, preprocessing, view, engine, list(rows)])


class ActivationCache:
    """Boundary values by key, one safetensors file each, memory-mapped when read."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or cache_folder() / "activations"

    def load(self, key: str) -> Boundary | None:
        """Return what is kept under `key`, or None; a damaged file counts as absent."""
        path = self._path(key)
        if not path.is_file():
            return None
        try:
            found = load_file(path)
            os.utime(path)
        except Exception:
            path.unlink(missing_ok=True)
            return None
        return found

    def save(self, key: str, boundary: Boundary) -> None:
        """Keep `boundary` under `key`; where the disk is full the run goes on without."""
        path = self._path(key)
        try:
            wanted = sum(v.numel() * v.element_size() for v in boundary.values())
            if wanted > LIMIT:
                return
            path.parent.mkdir(parents=True, exist_ok=True)
            self._make_room(wanted)
            handle, partial = tempfile.mkstemp(dir=path.parent, suffix=".part")
            os.close(handle)
            try:
                save_file({name: value.contiguous() for name, value in boundary.items()}, partial)
                os.replace(partial, path)
            finally:
                Path(partial).unlink(missing_ok=True)
        except (OSError, SafetensorError):  # the latter is what a full disk is to safetensors
            return

    def size(self) -> int:
        """Return the bytes that are kept."""
        return sum(path.stat().st_size for path in self.folder.glob("*/*.safetensors"))

    def clear(self) -> None:
        """Delete everything that is kept."""
        shutil.rmtree(self.folder, ignore_errors=True)

    def _path(self, key: str) -> Path:
        return self.folder / key[:2] / f"{key}.safetensors"

    def _make_room(self, wanted: int) -> None:
        kept = sorted(
            ((p.stat().st_atime, p.stat().st_size, p) for p in self.folder.glob("*/*.safetensors")),
        )
        total = wanted + sum(size for _, size, _ in kept)
        for _, size, path in kept:
            if total <= LIMIT:
                return
            path.unlink(missing_ok=True)
            total -= size
