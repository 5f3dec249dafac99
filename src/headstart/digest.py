"""Digests: one way to turn bytes, or plain data, into a short stable name."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any


def digest_bytes(content: bytes) -> str:
    """Return the sha256 of `content` as 64 hexadecimal digits."""
    return hashlib.sha256(content).hexdigest()


def digest_file(path: Path) -> str:
    """Return the sha256 of a file, read in pieces."""
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def digest_data(data: Any) -> str:
    """Return the sha256 of JSON-serialisable `data`, independent of the order of its keys."""
    return digest_bytes(
        json.dumps(data, sort_keys=True, ensure_ascii=False).encode("utf-8", "surrogatepass")
    )
