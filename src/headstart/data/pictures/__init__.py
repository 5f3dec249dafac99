"""Picture formats beyond Pillow's, and what all formats share."""

from __future__ import annotations

import io
from pathlib import Path

from headstart.data.dataset import Cell
from headstart.errors import Unreadable

LARGEST = 100_000_000
"""Pixels beyond which a picture is refused before it is decoded (a decompression bomb)."""


def require_size(width: int, height: int) -> None:
    """Raise `Unreadable` for a picture of more than `LARGEST` pixels."""
    if width * height > LARGEST:
        raise Unreadable(
            f"a picture of {width} x {height} pixels is over the limit of "
            f"{LARGEST // 1_000_000} million; make it smaller"
        )


def opened(cell: Cell) -> Path | io.BytesIO:
    """Return what a decoder can open: a path, or a stream of the content."""
    assert not isinstance(cell, tuple), "a picture is one file"
    return io.BytesIO(cell) if isinstance(cell, bytes) else Path(cell)


def head(cell: Cell, size: int = 132) -> bytes:
    """Return the first bytes of a file or of its content; none where it cannot be read."""
    if isinstance(cell, bytes):
        return cell[:size]
    if isinstance(cell, tuple):
        return b""
    try:
        if not Path(cell).is_file():  # to open a pipe is to wait for ever
            return b""
        with Path(cell).open("rb") as stream:
            return stream.read(size)
    except (OSError, ValueError):
        return b""
