"""Where the harness keeps what is made once: environments, weights, rows."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Callable
from pathlib import Path

import platformdirs


def cache() -> Path:
    """Return the folder of what is kept between runs, outside the repository."""
    return platformdirs.user_cache_path("headstart-peers", appauthor=False)


def made_once(folder: Path, make: Callable[[Path], object]) -> Path:
    """Return `folder`; where it is not there, `make` fills it, and it appears when complete."""
    if not folder.is_dir():
        folder.parent.mkdir(parents=True, exist_ok=True)
        scratch = Path(tempfile.mkdtemp(prefix=f".{folder.name}-", dir=folder.parent))
        try:
            make(scratch)
            scratch.rename(folder)
        finally:
            shutil.rmtree(scratch, ignore_errors=True)
    return folder
