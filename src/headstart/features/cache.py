"""The activation cache: what frozen layers computed of a row, kept on disk for every trial and run.

Rows are found by the digest of their content under a key that names everything else on which their
values depend. So trials, splits, seeds and runs share them, in whichever order they come. They lie
in shards: safetensors files of up to some thousand rows that are written in one step, never change,
and are mapped into memory when they are read.
"""

from __future__ import annotations

import contextlib
import hashlib
import os
import shutil
import tempfile
import time
import uuid
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import xxhash
from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file

from headstart.digest import digest_data
from headstart.features.values import Values, below
from headstart.places import cache_folder, cache_limit, make_room, size_of
from headstart.sources.staged import Boundary

FORMAT = 2
"""Changes when the same key would come to mean other values."""
GRAIN = 3600
"""Seconds after which a shard that is read counts as used anew."""
SMALL = 256
"""Rows below which shards are gathered into one."""
GATHERED = 8
"""Small shards that become one."""
SHARDS = "*/*.safetensors"
"""Where shards lie in the cache's folder: a folder for each key."""
_ROWS = "rows digested"


def key_of(source: str, cut: str, preprocessing: object, view: object, engine: object) -> str:
    """Return the name under which the values of rows are kept.

    It changes with whatever would change them: the source's digest, the cut, preprocessing, view,
    and the engine with its precision and version.
    """
    return digest_data([FORMAT, source, cut, preprocessing, view, engine])


@dataclass
class _Shard:
    """Some rows: their names (n,) S16, their values, and the file in which they lie, if any."""

    names: np.ndarray
    values: Boundary
    path: Path | None = None
    checksum: str = ""

    def is_whole(self) -> bool:
        """Say whether the values are as they were written; looked at once."""
        if self.checksum and self.checksum != _checksum(self.names, self.values):
            return False
        self.checksum = ""
        return True

    def touch(self) -> None:
        """Note that the shard was used."""
        if self.path is not None:
            with contextlib.suppress(OSError):
                if self.path.stat().st_mtime < time.time() - GRAIN:
                    os.utime(self.path)


class ActivationCache:
    """Boundary values by key and row, in a folder that processes share."""

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or cache_folder() / "activations"
        self._opened: dict[str, KeptRows] = {}

    def rows(self, key: str) -> KeptRows:
        """Return the rows under `key`."""
        if key not in self._opened:
            self._opened[key] = KeptRows(self.folder / key)
        return self._opened[key]

    def size(self) -> int:
        """Return the bytes that are kept."""
        return size_of(self.folder, SHARDS)

    def clear(self) -> None:
        """Delete everything that is kept."""
        self._opened.clear()
        shutil.rmtree(self.folder, ignore_errors=True)


class KeptRows:
    """The rows under one key.

    It is a cache: what is damaged counts as absent; where the disk is full, rows stay in memory.

    Parameters
    ----------
    folder
        Of the shards; None keeps all rows in memory.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self._folder = folder
        self._shards: list[_Shard] = []
        self._index: tuple[np.ndarray, np.ndarray, np.ndarray] | None = None

    def absent(self, digests: Sequence[str]) -> list[int]:
        """Return the numbers of the rows that are not there, each content once."""
        names = _names(digests)
        missing = self._find(names)[0] < 0
        if missing.any() and self._read_new():
            missing = self._find(names)[0] < 0
        if broken := self._broken(names):
            for shard in broken:
                self._drop(shard)
            return self.absent(digests)  # the rows may lie in other shards, too
        first = np.unique(names, return_index=True)[1]
        return np.sort(first[missing[first]]).tolist()

    def values(self, digests: Sequence[str]) -> Values:
        """Return the values of rows that are there."""
        piece, place = self._find(_names(digests))
        if len(piece) and piece.min() < 0:
            raise KeyError(digests[int(piece.argmin())])
        for number in np.unique(piece).tolist():
            self._shards[number].touch()
        return Values([shard.values for shard in self._shards], piece, place)

    def add(self, digests: Sequence[str], values: Boundary) -> None:
        """Keep the values of rows, in the order of `digests`."""
        shard = _Shard(_names(digests), values)
        self._hold(self._written(shard) or shard)
        small = [s for s in self._shards if s.path and len(s.names) < SMALL and s.is_whole()]
        if len(small) >= GATHERED:
            self._gather(small)

    def _gather(self, small: list[_Shard]) -> None:
        names = np.concatenate([shard.names for shard in small])
        written = self._written(_Shard(names, below([shard.values for shard in small])))
        if written is not None:
            for shard in small:
                self._drop(shard)
            self._hold(written)

    def _hold(self, shard: _Shard) -> None:
        self._shards.append(shard)
        self._index = None

    def _drop(self, shard: _Shard) -> None:
        # not in place: values that were handed out go on with the list that they know
        self._shards = [one for one in self._shards if one is not shard]
        self._index = None
        if shard.path is not None:
            with contextlib.suppress(OSError):
                shard.path.unlink(missing_ok=True)

    def _find(self, names: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Return for each row its shard, or -1 where it is absent, and its place in the shard."""
        if self._index is None:
            self._index = _indexed(self._shards)
        known, shard, place = self._index
        if not len(known):
            return np.full(len(names), -1), np.zeros(len(names), np.int64)
        at = np.searchsorted(known, names).clip(max=len(known) - 1)
        return np.where(known[at] == names, shard[at], -1), place[at]

    def _broken(self, names: np.ndarray) -> list[_Shard]:
        used = [self._shards[n] for n in np.unique(self._find(names)[0]).tolist() if n >= 0]
        return [shard for shard in used if not shard.is_whole()]

    def _read_new(self) -> bool:
        """Open the shards that others have written since; return whether there were any."""
        if self._folder is None or not self._folder.is_dir():
            return False
        known = {shard.path for shard in self._shards}
        new = [path for path in sorted(self._folder.glob("*.safetensors")) if path not in known]
        opened = [shard for shard in map(_opened, new) if shard is not None]
        for shard in opened:
            self._hold(shard)
        return bool(opened)

    def _written(self, shard: _Shard) -> _Shard | None:
        """Write a shard in one step, and return it mapped; None where it cannot be written."""
        if self._folder is None:
            return None
        path = self._folder / f"{uuid.uuid4().hex}.safetensors"
        size = sum(value.numel() * value.element_size() for value in shard.values.values())
        try:
            self._folder.mkdir(parents=True, exist_ok=True)
            if not make_room(self._folder.parent, SHARDS, size, cache_limit()):
                return None
            handle, partial = tempfile.mkstemp(dir=self._folder, suffix=".part")
            os.close(handle)
            try:
                content = {name: value.contiguous() for name, value in shard.values.items()}
                content[_ROWS] = torch.from_numpy(shard.names.view(np.uint8).reshape(-1, 16))
                checksum = _checksum(shard.names, shard.values)
                save_file(content, partial, {"checksum": checksum})
                os.replace(partial, path)
            finally:
                Path(partial).unlink(missing_ok=True)
        except (OSError, SafetensorError):  # the latter is what a full disk is to safetensors
            return None
        return _opened(path)


def _names(digests: Iterable[str]) -> np.ndarray:
    """Return the digests as (n,) S16, which take a quarter of the memory."""
    short = [hashlib.blake2b(d.encode(), digest_size=16).digest() for d in digests]
    return np.frombuffer(bytearray(b"".join(short)), "S16")


def _checksum(names: np.ndarray, values: Boundary) -> str:
    found = xxhash.xxh3_128(names.tobytes())
    for name in sorted(values):
        found.update(name.encode())
        found.update(values[name].contiguous().view(torch.uint8).numpy().data)
    return found.hexdigest()


def _indexed(shards: Sequence[_Shard]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return (names in order, shard of each, place of each)."""
    if not shards:
        return np.zeros(0, "S16"), np.zeros(0, np.int32), np.zeros(0, np.int64)
    names = np.concatenate([shard.names for shard in shards])
    sizes = [len(shard.names) for shard in shards]
    order = np.argsort(names, kind="stable")
    shard = np.repeat(np.arange(len(shards), dtype=np.int32), sizes)
    place = np.concatenate([np.arange(size) for size in sizes])
    return names[order], shard[order], place[order]


def _opened(path: Path) -> _Shard | None:
    """Return a shard, mapped; None of a file that is damaged, which is deleted, or gone."""
    try:
        with safe_open(path, "pt") as file:
            checksum = file.metadata()["checksum"]
            values = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        names = values.pop(_ROWS).numpy().reshape(-1).view("S16")
        if any(len(value) != len(names) for value in values.values()):
            raise ValueError("rows are missing")
    except FileNotFoundError:
        return None
    except Exception:
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)
        return None
    return _Shard(names, values, path, checksum)
