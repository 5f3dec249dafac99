"""Places on this machine: where fetched weights and computed values are kept, and how many."""

from __future__ import annotations

import contextlib
import json
import os
import re
import shutil
import time
import uuid
from pathlib import Path
from typing import Any

import platformdirs

from headstart.errors import UsageError

LIMIT = 20 * 2**30
"""Bytes of computed values beyond which what was used longest ago is deleted."""
SHARE = 0.5
"""Share of the disk's free room, and of what is kept already, that is taken at most."""
ABANDONED = 86_400
"""Seconds after which a file that was never finished is deleted."""
PARTIAL = ".part"
"""Ending of a file that is being written."""
_UNITS = {None: 1, "kb": 10**3, "mb": 10**6, "gb": 10**9, "tb": 10**12}


def cache_folder() -> Path:
    """Return the user's cache folder: `HEADSTART_CACHE` if set, else the platform's own place."""
    named = os.environ.get("HEADSTART_CACHE")
    return Path(named) if named else platformdirs.user_cache_path("headstart", appauthor=False)


def cache_limit() -> int:
    """Return the bytes that computed values may take: `HEADSTART_CACHE_LIMIT` if set, else `LIMIT`.

    Raises
    ------
    UsageError
        If the setting is no size, such as ``5GB``.
    """
    named = os.environ.get("HEADSTART_CACHE_LIMIT")
    if named is None:
        return LIMIT
    found = re.fullmatch(r"\s*(\d+(?:\.\d+)?)\s*([kmgt]b)?\s*", named.lower())
    if found is None:
        raise UsageError(f"HEADSTART_CACHE_LIMIT={named!r} is no size; write it as 500MB or 5GB")
    return int(float(found[1]) * _UNITS[found[2]])


def read_json(path: Path) -> Any:
    """Return what a small file of the cache says; None where there is none, or it is damaged."""
    try:
        return json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None


def write_json(path: Path, content: Any) -> None:
    """Write a small file of the cache in one step; where the disk is full there is none."""
    partial = path.with_name(f"{uuid.uuid4().hex}{PARTIAL}")
    with contextlib.suppress(OSError):
        path.parent.mkdir(parents=True, exist_ok=True)
        partial.write_text(json.dumps(content), encoding="utf-8")
        os.replace(partial, path)


def size_of(folder: Path, pattern: str) -> int:
    """Return the bytes of the files or folders in `folder` that `pattern` finds."""
    return sum(size for _, size, _ in _found(folder, pattern))


def make_room(folder: Path, pattern: str, wanted: int, limit: int) -> bool:
    """Delete what was used longest ago until `wanted` more bytes fit; say whether they do.

    Parameters
    ----------
    folder, pattern
        Say which files, or which folders, may be deleted. Files that were begun beside them and
        never finished are deleted, too.
    wanted
        Bytes that will be written.
    limit
        Bytes that all of them may take; less where the disk is nearly full.
    """
    kept = sorted(_found(folder, pattern))
    total = sum(size for _, size, _ in kept)
    limit = min(limit, int(SHARE * (shutil.disk_usage(folder).free + total)))
    if wanted > limit:
        return False
    for _, size, path in kept:
        if total + wanted <= limit:
            break
        _delete(path)
        total -= size
    for used, _, path in _found(folder, f"**/*{PARTIAL}"):
        if used < time.time() - ABANDONED:
            _delete(path)
    return True


def _found(folder: Path, pattern: str) -> list[tuple[float, int, Path]]:
    """Return (when used, bytes, path) of each file or folder."""
    found = []
    for path in folder.glob(pattern):
        with contextlib.suppress(OSError):  # deleted meanwhile
            files = path.iterdir() if path.is_dir() else [path]
            size = sum(file.stat().st_size for file in files)
            found.append((path.stat().st_mtime, size, path))
    return found


def _delete(path: Path) -> None:
    if path.is_dir():
        shutil.rmtree(path, ignore_errors=True)
    else:
        with contextlib.suppress(OSError):
            path.unlink(missing_ok=True)
