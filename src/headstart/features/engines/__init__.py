"""Engines: the ways to run a prefix in evaluation mode. One file each.

An engine is trusted only after its answers on some of the user's own rows agree with eager PyTorch
in float32; otherwise the next one in the device's order is used, and the reason is kept.
"""

from __future__ import annotations

import contextlib
import functools
import time
from collections import deque
from collections.abc import Callable, Generator, Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

import numpy as np
import torch
from torch import Tensor, nn

from headstart.devices import device
from headstart.digest import digest_bytes, digest_data
from headstart.places import cache_folder, read_json, write_json
from headstart.registry import Registry
from headstart.sources.staged import Boundary

Batch = dict[str, np.ndarray]
Computed = Generator[Boundary, None, None]
"""Boundary values, batch by batch; whoever stops asking for them closes it."""

COSINE = {"bf16": 0.99, "f32": 0.9999}
ERROR = {"bf16": 0.10, "f32": 0.01}
"""Bounds against eager float32: least cosine similarity of a row, and largest root mean square
error relative to that of the values themselves."""
ORDERS = {
    "cpu": ("openvino", "openvino-f32", "eager"),
    "cuda": ("cuda-compiled", "cuda", "cuda-f32", "openvino", "openvino-f32", "eager"),
}
"""Engines by device, those that are tried first at the front."""
ROUNDS = 2
ROUND = 0.12
"""Seconds that a round of measuring a speed takes at least."""
LIMIT = 4 * 2**30
"""Bytes of compiled models beyond which those used longest ago are deleted."""
_KEPT = ("name", "precision", "cosine", "error", "refused")


class Engine(Protocol):
    """A compiled prefix.

    Attributes
    ----------
    name, precision
        What it is, and in what it computes: ``bf16`` or ``f32``.
    batch
        Rows at a time with which it is fastest.
    """

    name: str
    precision: str
    batch: int

    def run(self, batches: Iterable[Batch]) -> Computed:
        """Yield the boundary values of each batch, in order; some may be computed at a time.

        Batches are asked for as they are needed.
        """


_LONG = 4
"""Tokens of which half can be read."""
_PASSING = (OSError, MemoryError, torch.OutOfMemoryError)
"""What may be over another time: a full disk, a busy GPU."""

Compile = Callable[[nn.Module, Batch, str, Path], Engine]
"""Turns a module, an example batch, a key and a folder into an engine; raises if it cannot."""
engines: Registry[Compile] = Registry("engine", __name__)


@dataclass(frozen=True)
class Chosen:
    """The engine that is used, how well it agrees, and why others were not taken.

    What was found for the same rows before is known without compiling anything: `engine` does that
    when it is first asked for.
    """

    name: str
    precision: str
    cosine: float
    error: float
    refused: tuple[str, ...]
    compiled: Callable[[], Engine]

    def data(self) -> dict[str, Any]:
        """Return what is known of it as JSON data."""
        return {name: getattr(self, name) for name in _KEPT}

    @functools.cached_property
    def engine(self) -> Engine:
        """Return the engine itself."""
        return self.compiled()


@dataclass(frozen=True)
class Agreement:
    """How close an engine's answers are to eager float32."""

    cosine: float
    error: float

    def within(self, precision: str) -> bool:
        """Say whether both figures are within the documented bounds."""
        return self.cosine >= COSINE[precision] and self.error <= ERROR[precision]


def choose(
    module: nn.Module, sample: Batch, key: str, folder: Path, order: tuple[str, ...] | None = None
) -> Chosen:
    """Return the first engine of `order` that can be compiled and agrees with eager float32.

    The choice is kept beside the compiled models, and read where the same module is to compute the
    same sample again.

    Parameters
    ----------
    module
        The prefix; called with named tensors, returns named tensors.
    sample
        Some of the user's rows, at least two.
    key
        Names the module's weights and cut, for the cache of compiled models.
    folder
        Where compiled models are kept.
    order
        Engines to try; those for the device in use if None.
    """
    order = order or engine_order()
    content = {name: [v.shape, digest_bytes(v.tobytes())] for name, v in sample.items()}
    record = folder / f"{digest_data([key, order, content, machine()])[:32]}.json"
    known = _known(record)
    if known is None:
        found, lasting = _compared(module, sample, key, folder, order)
        if lasting:
            write_json(record, found.data())
        return found

    def compiled() -> Engine:
        try:
            return _compiler(known["name"], module, sample, key, folder)()
        except Exception:  # what could be compiled once is damaged, or its memory is short
            with contextlib.suppress(OSError):
                record.unlink(missing_ok=True)
            return _compared(module, sample, key, folder, order)[0].engine

    return Chosen(**known, compiled=compiled)


def engine_order() -> tuple[str, ...]:
    """Return the engines for the device in use, those that are tried first at the front."""
    return ORDERS[device().type]


def rate(engine: Engine, example: Batch, batch: int, at_once: int) -> float:
    """Return rows a second in batches of this size, so many of them at once, of a repeated example.

    It is the best of a few short rounds.
    """
    rows = {name: np.resize(v, (batch, *v.shape[1:])) for name, v in example.items()}
    deque(engine.run([rows]), maxlen=0)  # warm
    best = 0.0
    for _ in range(ROUNDS):
        done = 0
        started = time.monotonic()
        while time.monotonic() < started + ROUND:
            deque(engine.run([rows] * (2 * at_once)), maxlen=0)
            done += 2 * at_once * batch
        best = max(best, done / (time.monotonic() - started))
    return best


def engines_folder() -> Path:
    """Return where compiled models are kept."""
    return cache_folder() / "engines"


@functools.cache
def machine() -> list[Any]:
    """Return what an engine's answers depend on besides the module: versions, instructions."""
    versions = [version(package) for package in ("openvino", "torch", "timm", "transformers")]
    bf16 = torch.cpu._is_avx512_bf16_supported()
    return [*versions, torch.backends.cpu.get_cpu_capability(), bf16]


def _compared(
    module: nn.Module, sample: Batch, key: str, folder: Path, order: tuple[str, ...]
) -> tuple[Chosen, bool]:
    """Return the first engine that agrees, and whether it will be the same another time.

    It may be another one once there is room on the disk, or memory.
    """
    refused: list[str] = []
    lasting = True
    tried = [sample, *_shorter(sample)]
    reference = list(engines.get("eager")(module, sample, key, folder).run(tried))
    for name in order:
        if name == "eager":
            break
        compiler = _compiler(name, module, sample, key, folder)
        try:
            engine = compiler()
            agreement = min(
                map(compare, engine.run(tried), reference, tried), key=lambda found: found.cosine
            )
        except Exception as error:  # conversion can fail in many ways; the next engine serves
            lasting = lasting and not isinstance(error, _PASSING)
            reason = (str(error).splitlines() or ["no reason given"])[0]
            refused.append(f"{name}: {type(error).__name__}: {reason[:200]}")
            continue
        if agreement.within(engine.precision):
            figures = agreement.cosine, agreement.error
            itself = functools.partial(_itself, engine)
            return Chosen(name, engine.precision, *figures, tuple(refused), itself), lasting
        refused.append(
            f"{name}: cosine {agreement.cosine:.4f}, error {agreement.error:.4f} against eager"
        )
    eager = _compiler("eager", module, sample, key, folder)
    return Chosen("eager", "f32", 1.0, 0.0, tuple(refused), eager), lasting


def _shorter(sample: Batch) -> list[Batch]:
    """Return the beginnings of texts: what was traced at one length shall agree at others."""
    if "input_ids" not in sample or sample["input_ids"].shape[1] < _LONG:
        return []
    half = sample["input_ids"].shape[1] // 2
    return [{name: np.ascontiguousarray(v[:, :half]) for name, v in sample.items()}]


def _itself(engine: Engine) -> Engine:
    return engine


def _compiler(
    name: str, module: nn.Module, sample: Batch, key: str, folder: Path
) -> Callable[[], Engine]:
    return lambda: engines.get(name)(module, sample, key, folder)


def _known(record: Path) -> dict[str, Any] | None:
    """Return a choice that was made before, if there was one."""
    known = read_json(record)
    try:
        return {
            "name": str(known["name"]),
            "precision": str(known["precision"]),
            "cosine": float(known["cosine"]),
            "error": float(known["error"]),
            "refused": tuple(map(str, known["refused"])),
        }
    except (KeyError, TypeError, ValueError):
        return None


def compare(
    found: Mapping[str, Tensor], reference: Mapping[str, Tensor], sample: Batch
) -> Agreement:
    """Compare floating-point values row by row; padding does not count.

    Values that are not finite, or of another shape, never agree.
    """
    cosines, errors = [1.0], [0.0]
    for name, expected in reference.items():
        if not expected.is_floating_point():
            continue
        ours, theirs = found[name].float(), expected.float()
        finite = torch.isfinite(ours).all() and torch.isfinite(theirs).all()
        if ours.shape != theirs.shape or not finite:
            return Agreement(-1.0, float("inf"))
        mask = sample.get("attention_mask")
        if mask is not None and ours.ndim == 3 and ours.shape[:2] == mask.shape:
            weight = torch.from_numpy(mask).unsqueeze(-1)
            ours, theirs = ours * weight, theirs * weight
        a, b = ours.flatten(1), theirs.flatten(1)
        alike = torch.cosine_similarity(a, b)
        silent = ~a.any(1) & ~b.any(1)  # two rows of zeros have no angle, and agree
        cosines.append(float(alike.masked_fill(silent, 1.0).min()))
        errors.append(float((a - b).pow(2).mean().sqrt() / b.pow(2).mean().sqrt().clamp(1e-12)))
    return Agreement(min(cosines), max(errors))
