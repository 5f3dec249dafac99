"""Checkpoints: training is kept on its way, and goes on from there to the same end, bit for bit."""

from __future__ import annotations

import contextlib
import json
import os
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from safetensors import SafetensorError, safe_open
from safetensors.torch import save_file
from torch import Tensor

EVERY = 20.0
"""Seconds of training that may be lost; what is over sooner is begun again."""


@dataclass
class Checkpoint:
    """A file in which training is kept.

    Parameters
    ----------
    path
        Where; it is replaced at once, or not at all.
    every
        Seconds between two writes.
    """

    path: Path
    every: float = EVERY
    _written: float = field(default_factory=time.monotonic, repr=False)

    @property
    def due(self) -> bool:
        """Say whether it is time to write."""
        return time.monotonic() - self._written >= self.every

    def write(self, tensors: dict[str, Tensor], facts: dict[str, Any]) -> None:
        """Replace what is kept by tensors and JSON data.

        Where the disk is full, what was kept stays: training does not end for it.
        """
        scratch = self.path.with_suffix(".part")
        whole = {name: value.detach().cpu().contiguous() for name, value in tensors.items()}
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            save_file(whole, scratch, {"facts": json.dumps(facts)})
            with scratch.open("rb") as file:
                os.fsync(file.fileno())
            os.replace(scratch, self.path)
        except (OSError, SafetensorError):
            with contextlib.suppress(OSError):
                scratch.unlink(missing_ok=True)
        self._written = time.monotonic()

    def read(self) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
        """Return what is kept; None where nothing is, or it cannot be read."""
        return self._kept(lambda file: {name: file.get_tensor(name) for name in file.keys()})  # noqa: SIM118

    def facts(self) -> dict[str, Any]:
        """Return the JSON data that is kept; empty where nothing is."""
        kept = self._kept(lambda _file: {})
        return kept[1] if kept is not None else {}

    def _kept(
        self, take: Callable[[Any], dict[str, Tensor]]
    ) -> tuple[dict[str, Tensor], dict[str, Any]] | None:
        """Return what is taken of the tensors that are kept, and the JSON data."""
        try:
            with safe_open(self.path, framework="pt") as file:
                return take(file), json.loads(file.metadata()["facts"])
        except (OSError, SafetensorError, ValueError, KeyError, TypeError):
            return None

    def clear(self) -> None:
        """Take it away."""
        self.path.unlink(missing_ok=True)
        self.path.with_suffix(".part").unlink(missing_ok=True)
