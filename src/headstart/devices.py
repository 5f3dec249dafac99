"""The device that networks are computed on: the processor, or a GPU where there is one."""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator
from typing import TYPE_CHECKING

from headstart.errors import UsageError

if TYPE_CHECKING:
    import torch

AUTO = "auto"
KNOWN = (AUTO, "cpu", "cuda")
_asked = AUTO


def cores() -> int:
    """Return the processor's cores that this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except AttributeError:  # not on Linux
        return os.cpu_count() or 1


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
