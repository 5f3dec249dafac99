"""Places on this machine: where fetched weights and computed values are kept."""

from __future__ import annotations

import os
from pathlib import Path

import platformdirs


def cache_folder() -> Path:
    """Return the user's cache folder: `HEADSTART_CACHE` if set, else the platform's own place."""
    named = os.environ.get("HEADSTART_CACHE")
    return Path(named) if named else platformdirs.user_cache_path("headstart", appauthor=False)
