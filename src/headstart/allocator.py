"""Memory that is free again is given back to the system."""

from __future__ import annotations

import ctypes
import functools
from collections.abc import Callable


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
