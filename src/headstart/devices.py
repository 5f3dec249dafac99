"""What computes: the processor's cores, or a GPU where there is one."""

from __future__ import annotations

import contextlib
import itertools
import os
import statistics
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
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
AHEAD = 2
"""Items that are computed ahead of what is asked for, for each core."""
T = TypeVar("T")
R = TypeVar("R")
_asked = AUTO


def cores() -> int:
    """Return the processor's cores that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on Linux
        return os.cpu_count() or 1


def on_cores(work: Callable[[T], R], items: Iterable[T]) -> Generator[R, None, None]:
    """Yield what `work` returns of each item, in order, computed in as many threads as pay.

    The first items are timed. Where they are short, such as decoding a picture of 28 pixels,
    threads hold each other up: one is more than twice as fast as two.
    """
    rest = iter(items)
    seconds = []
    for item in itertools.islice(rest, TIMED):
        began = time.perf_counter()
        found = work(item)
        seconds.append(time.perf_counter() - began)
        yield found
    if seconds and statistics.median(seconds) < SHORT:
        yield from map(work, rest)
        return
    with ThreadPoolExecutor(cores()) as pool, contextlib.closing(ahead(pool, work, rest)) as coming:
        yield from coming


def ahead(
    pool: ThreadPoolExecutor, work: Callable[[T], R], items: Iterable[T]
) -> Generator[R, None, None]:
    """Yield what `work` returns of each item, in order, some of them computed ahead."""
    coming: deque[Future[R]] = deque()
    try:
        for item in items:
            coming.append(pool.submit(work, item))
            if len(coming) > AHEAD * cores():
                yield coming.popleft().result()
        while coming:
            yield coming.popleft().result()
    finally:
        for future in coming:
            future.cancel()


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
