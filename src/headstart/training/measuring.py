"""What is measured on the machine before a trial begins: the pace of a step, the best numerics."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from headstart.devices import cores, device
from headstart.digest import digest_data
from headstart.features.engines import machine
from headstart.places import cache_folder, read_json, write_json
from headstart.recipes import Norm, Phase
from headstart.training.loop import train
from headstart.training.precision import Numerics, all_numerics

FORMAT = 2
"""Changes when the same key would come to mean another measurement."""
CLEAR = 0.9
"""The usual numerics are left only for others that take at most this share of their time."""
LONGEST = 0.6
"""Seconds that a measured step shall take at most, by the pace of a few rows."""
GLANCE = 0.1
"""The same where numerics are looked over, of which most are much slower than the best."""
_FEW = 4
_STEPS = 5
_MEASURED = 0.6
"""Seconds that measuring may take, by what a few rows take, once it has two steps."""
_LEAST = 0.5
"""What a further row takes at least, as a share of what a measured one does."""
_RATE = 1e-6


def step_seconds(
    module: nn.Module,
    groups: Mapping[str, Sequence[nn.Parameter]],
    step: Callable[[Tensor, int], Tensor],
    batch: int,
    norm: Norm,
    longest: float = LONGEST,
) -> float:
    """Return the seconds of a whole step of training on `batch` rows; the weights move a little.

    A step is what it is in the loop: forward, backward, and the optimiser's. It is measured on a
    few rows first, and then on as many as take about `longest` seconds. What further rows take is
    told by both: a part of a step costs the same whatever its rows.
    """
    few = min(batch, _FEW)
    _paced(module, groups, step, few, 1, norm)  # warm
    short = _paced(module, groups, step, few, 2, norm)
    rows = min(batch, max(few, int(longest * few / short)))
    if rows == few:
        return short / few * batch
    steps = min(_STEPS, max(2, int(_MEASURED * few / (rows * short))))
    long = _paced(module, groups, step, rows, steps, norm)
    a_row = long / rows
    if rows >= 2 * few:  # of less the difference would be of noise
        a_row = float(np.clip((long - short) / (rows - few), _LEAST * a_row, a_row))
    return long + (batch - rows) * a_row


def _paced(
    module: nn.Module,
    groups: Mapping[str, Sequence[nn.Parameter]],
    step: Callable[[Tensor, int], Tensor],
    rows: int,
    steps: int,
    norm: Norm,
) -> float:
    """Return the median seconds from the beginning of a step to that of the next one."""
    begun: list[float] = []

    def timed(taken: Tensor, epoch: int) -> Tensor:
        begun.append(time.perf_counter())
        return step(taken % rows, epoch)

    phases = (Phase(epochs=1, rate=_RATE),)
    train(module, groups, phases, rows * steps, rows, timed, decay=0.0, seed=0, norm=norm)
    return float(np.median(np.diff([*begun, time.perf_counter()])))


def fastest(
    key: object, seconds: Callable[[Numerics, float], float], among: Sequence[Numerics] = ()
) -> Numerics:
    """Return the numerics in which something trains fastest, measured once and kept.

    So the same seed gives the same result on the same machine, however busy it is: what is kept
    decides, not what would be measured now.

    Parameters
    ----------
    key
        What is measured, as JSON data; processor, threads and versions are added.
    seconds
        Measures a step with given numerics, as `step_seconds` does with its `longest`.
    among
        Numerics to choose from, the usual ones first; all if empty.
    """
    candidates = list(among) or all_numerics()
    place = numerics_folder() / f"{digest_data([FORMAT, key, _machine()])}.json"
    known = _kept(place)
    if known in candidates:
        return known
    best = candidates[0]
    taken = {numerics: seconds(numerics, GLANCE) for numerics in candidates}
    quickest = min(taken, key=lambda numerics: taken[numerics])
    if quickest != best:  # by few rows, and something else may have slowed one of them down
        taken |= {numerics: seconds(numerics, LONGEST) for numerics in (best, quickest)}
    if taken[quickest] <= CLEAR * taken[best]:
        best = quickest
    measured = {f"{n.precision} {n.layout}": round(value, 6) for n, value in taken.items()}
    write_json(place, {**vars(best), "seconds": measured})
    return best


def numerics_folder() -> Path:
    """Return where it is kept which numerics were measured to be fastest."""
    return cache_folder() / "numerics"


def _machine() -> list[object]:
    """Return what else decides which numerics are fastest."""
    there = torch.cuda.get_device_name() if device().type == "cuda" else "cpu"
    return [*machine(), torch.get_num_threads(), cores(), there]


def _kept(place: Path) -> Numerics | None:
    """Return what was measured before, if anything was."""
    try:
        found = read_json(place)
        return Numerics(found["precision"], found["layout"])
    except (KeyError, TypeError):
        return None
