"""Memory: what a step of training takes, what there is, and what is done where it runs out."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

import torch
from torch import Tensor, nn

from headstart.allocator import anonymous
from headstart.devices import device

T = TypeVar("T")

SHARE = 0.5
"""Share of the available memory that a step may take; the rest is for the rows themselves."""
BACKWARD = 2.0
"""How many times what forward keeps for backward a step takes at its peak."""
COPIES = 4
"""Copies of the weights that training holds: themselves, gradients, two moments."""
_LOOK = 0.02
_TOLD = ("out of memory", "not enough memory", "allocate memory", "bad_alloc")


class NotEnoughMemory(Exception):
    """Not even a single row fits into memory."""


def out_of_memory(error: BaseException) -> bool:
    """Say whether an error means that memory ran out; on a CPU only its text tells."""
    if isinstance(error, (MemoryError, torch.cuda.OutOfMemoryError)):
        return True
    return isinstance(error, RuntimeError) and any(part in str(error).lower() for part in _TOLD)


@contextlib.contextmanager
def peak_memory() -> Iterator[list[int]]:
    """Yield a list that is given, at the end, the bytes by which memory grew at most meanwhile.

    On a GPU it is its own memory; on a CPU what no file backs, looked at fifty times a second. The
    list stays empty where the system does not tell.
    """
    found: list[int] = []
    if device().type == "cuda":
        before = torch.cuda.memory_allocated()
        torch.cuda.reset_peak_memory_stats()
        yield found
        found.append(max(0, torch.cuda.max_memory_allocated() - before))
        return
    before = anonymous()
    seen, over = [before], threading.Event()

    def look() -> None:
        while not over.wait(_LOOK):
            seen.append(max(seen.pop(), anonymous()))

    watching = threading.Thread(target=look, daemon=True)
    watching.start()
    try:
        yield found
    finally:
        over.set()
        watching.join()
        if before:
            found.append(max(0, max(seen[0], anonymous()) - before))


@dataclass
class AtOnce:
    """How many rows are worked on at once; halved for good when memory does not reach."""

    rows: int

    def over(
        self, rows: Tensor, work: Callable[[Tensor], T], begin: Callable[[], object] = lambda: None
    ) -> list[T]:
        """Return what `work` gives for `rows`, so many of them at a time.

        When memory runs out, everything is done again with half as many rows at once.

        Parameters
        ----------
        rows
            Row numbers.
        begin
            Called before the first part, each time.

        Raises
        ------
        NotEnoughMemory
            If a single row is too much.
        """
        while True:
            try:
                begin()
                return [work(part) for part in rows.split(self.rows)]
            except Exception as error:
                if not out_of_memory(error):
                    raise
            # after the handler, which holds on to the tensors of the failed attempt
            self._halve(len(rows))

    def _halve(self, wanted: int) -> None:
        tried = min(self.rows, wanted)
        if tried == 1:
            raise NotEnoughMemory(
                "not even a single row fits into memory; close other programs, or choose a smaller "
                "--source"
            )
        self.rows = (tried + 1) // 2


def kept_bytes(module: nn.Module, forward: Callable[[], Tensor]) -> int:
    """Return the bytes that a forward pass keeps for its backward pass, weights left out."""
    weights = {p.untyped_storage().data_ptr() for p in module.parameters()}
    kept: dict[int, int] = {}

    def pack(value: Tensor) -> Tensor:
        storage = value.untyped_storage()
        kept[storage.data_ptr()] = storage.nbytes()
        return value

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda value: value):
        held = forward()
    del held
    return sum(size for place, size in kept.items() if place not in weights)


def rows_that_fit(batch: int, a_row: float, module: nn.Module, free: float | None) -> int:
    """Return how many rows of a batch a step can take at once: all, a half, a quarter, …

    Parameters
    ----------
    a_row
        Bytes that forward keeps for a row.
    free
        Bytes available; None is unknown, which is taken as enough.
    """
    if free is None:
        return batch
    weights = sum(p.numel() * p.element_size() for p in module.parameters())
    room = SHARE * free - COPIES * weights
    while batch > 1 and BACKWARD * a_row * batch > room:
        batch = (batch + 1) // 2
    return batch


def available_memory(root: Path = Path("/")) -> float | None:
    """Return the bytes that can still be taken, or None where the system does not say.

    On a GPU it is what is free there; else the least of what the machine has and what the control
    group of the process (a container's limit) leaves.
    """
    if device().type == "cuda":
        return float(torch.cuda.mem_get_info()[0])
    found = [_machine(root / "proc/meminfo")]
    groups = root / "sys/fs/cgroup"
    found.append(_left(groups, "memory.max", "memory.current", "inactive_file"))
    first, used = "memory.limit_in_bytes", "memory.usage_in_bytes"
    found.append(_left(groups / "memory", first, used, "total_inactive_file"))
    known = [size for size in found if size is not None]
    return min(known) if known else None


def _machine(meminfo: Path) -> float | None:
    with contextlib.suppress(OSError, ValueError, IndexError):
        for line in meminfo.read_text().splitlines():
            if line.startswith("MemAvailable:"):
                return 1024.0 * int(line.split()[1])
    with contextlib.suppress(AttributeError, OSError, ValueError):
        return float(os.sysconf("SC_AVPHYS_PAGES")) * os.sysconf("SC_PAGE_SIZE")
    return None


def _left(group: Path, limit: str, used: str, idle: str) -> float | None:
    """Return what a control group leaves; one without a limit says ``max``, or is not there.

    Files that were read count as used, though those not in use, `idle`, give way at once.
    """
    with contextlib.suppress(OSError, ValueError):
        most, taken = (int((group / name).read_text()) for name in (limit, used))
        stat = group / "memory.stat"
        lines = stat.read_text().splitlines() if stat.is_file() else []
        spare = sum(int(line.split()[1]) for line in lines if line.split()[0] == idle)
        return max(0.0, float(most - taken + spare))
    return None
