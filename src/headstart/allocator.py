"""Memory of processes: how much they take, and how what is free again is given back."""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable
from pathlib import Path


def anonymous(process: int | str = "self") -> int:
    """Return the bytes of a process that no file backs; 0 where that is not told, or it is gone."""
    try:
        said = Path(f"/proc/{process}/status").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return 0
    lines = said.splitlines()
    return max((1024 * int(x.split()[1]) for x in lines if x.startswith("RssAnon")), default=0)


def trim() -> None:
    """Give free memory back where the C library keeps it (glibc), which takes milliseconds.

    Arrays of many sizes that come and go leave gaps between those that stay. Over hundreds of
    thousands of rows such gaps grow to hundreds of megabytes.
    """
    _trim()(0)


@functools.cache
def _trim() -> Callable[[int], object]:
    try:
        found: Callable[[int], object] = ctypes.CDLL(None).malloc_trim
    except (OSError, AttributeError, TypeError):  # not glibc; TypeError is Windows
        return lambda _kept: None
    return found
