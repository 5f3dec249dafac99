"""Free memory goes back to the system where the C library can do that."""

from __future__ import annotations

import ctypes
import sys

import numpy as np
import pytest

from headstart import allocator


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="asks Linux how much there is")
def test_gaps_between_what_stays_are_given_back():
    if not hasattr(ctypes.CDLL(None), "malloc_trim"):
        pytest.skip("not glibc")
    blocks = [np.ones(60_000, np.uint8) for _ in range(2_000)]  # below what is mapped apart
    kept = blocks[::8]
    before = allocator.anonymous()
    del blocks
    allocator.trim()
    assert before - allocator.anonymous() > 60_000 * 1_200
    assert all(block.all() for block in kept)


@pytest.mark.parametrize("error", (OSError, TypeError))
def test_another_c_library_is_left_alone(monkeypatch, error):
    def refuse(_name):
        raise error

    monkeypatch.setattr(ctypes, "CDLL", refuse)
    allocator._trim.cache_clear()
    try:
        allocator.trim()
    finally:
        allocator._trim.cache_clear()
