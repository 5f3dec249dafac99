"""What computes: the processor's cores, or a GPU where there is one."""

from __future__ import annotations

import contextlib
import os
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TYPE_CHECKING, TypeVar

from headstart.errors import UsageError

if TYPE_CHECKING:
    import torch

AUTO = "auto"
KNOWN = (AUTO, "cpu", "cuda")
TIMED = 4
"""Items of some work that are timed, before it is done in threads."""
SHORT = 1e-3
"""Seconds below which an item is not worth a thread: as long as threads wait for each other."""
T = TypeVar("T")
R = TypeVar("R")
_asked = AUTO


def cores() -> int:
    """Return the processor's cores that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on Linux
        return os.cpu_count() or 1


def on_cores(work: Callable[[T], R], items: Sequence[T]) -> list[R]:
    """Return what `work` returns of each item, computed in as many threads as pay.

    The first items are timed. Where they are short, such as decoding a picture of 28 pixels,
    threads hold each other up: one is more than twice as fast as two.
    """
    found, seconds = [], []
    for item in items[:TIMED]:
        began = time.perf_counter()
        found.append(work(item))
        seconds.append(time.perf_counter() - began)
    rest = items[TIMED:]
    if not rest or statistics.median(seconds) < SHORT:
        return found + [work(item) for item in rest]
    with ThreadPoolExecutor(cores()) as pool:
        return found + list(pool.map(work, rest))


def device() -> torch.device:
    """Return the device that was asked for; where none was, a GPU if there is one."""
    import torch

    name = _asked
    if name == AUTO:
        name = "cuda" if torch.cuda.is_available() else "cpu"
    return torch.device(name)


@contextlib.contextmanager
def using(name: str) -> Iterator[None]:
    """Compute on this device: ``cpu``, ``cuda``, or ``auto``.

    Raises
    ------
    UsageError
        If there is no such device.
    """
    global _asked
    if name not in KNOWN:
        raise UsageError(f"--device {name} is not known; it is {', '.join(KNOWN)}")
    if name == "cuda":
        import torch

        if not torch.cuda.is_available():
            raise UsageError(
                "--device cuda: PyTorch finds no GPU here. Leave --device out, or install a "
                "PyTorch that was built for CUDA and a driver that it knows."
            )
    before, _asked = _asked, name
    try:
        yield
    finally:
        _asked = before
