"""OpenVINO on the CPU: bf16 where the processor has it, else float32."""

from __future__ import annotations

import contextlib
import ctypes
import logging
import os
import shutil
import signal
import sys
import tempfile
import threading
import time
import warnings
from collections import deque
from collections.abc import Iterable, Iterator
from pathlib import Path
from types import FrameType
from typing import Any

import torch
import xxhash
from torch import Tensor, nn

from headstart.devices import cores
from headstart.digest import digest_data
from headstart.features.engines import LIMIT, Batch, Computed, engines, machine, rate
from headstart.places import make_room, read_json, write_json
from headstart.sources.staged import Boundary

# without its telemetry, OpenVINO reports nothing over the network, and forks no process to do so
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]

FORMAT = 3
"""Changes when models are converted or kept in another way."""
BATCHES = (4, 8, 16, 32)
"""Rows at a time that are tried."""
SLOWER = 0.95
"""Share of the best speed so far below which larger batches are not tried."""
CLEAR = 1.02
"""How many times the best speed so far larger batches must reach: they take more memory."""
MEASURING = 3.0
"""Seconds after which nothing more is tried."""


class _Traced(nn.Module):
    """The module with inputs and outputs by position, as tracing wants them."""

    def __init__(self, module: nn.Module, inputs: tuple[str, ...]) -> None:
        super().__init__()
        self.module = module
        self.inputs = inputs
        self.outputs: tuple[str, ...] = ()

    def forward(self, *values: Tensor) -> tuple[Tensor, ...]:
        found = self.module(**dict(zip(self.inputs, values, strict=True)))
        # what passes through unchanged need not be computed
        self.outputs = tuple(name for name in found if name not in self.inputs)
        return tuple(found[name] for name in self.outputs)


class OpenVino:
    """A compiled prefix.

    Parameters
    ----------
    compiled
        OpenVINO's model; as many batches run at once as it has streams.
    inputs, outputs
        Names, in the order of the model's own.
    batch
        Rows at a time with which it is fastest.
    """

    name = "openvino"

    def __init__(
        self, compiled: Any, inputs: tuple[str, ...], outputs: tuple[str, ...], batch: int
    ) -> None:
        self._compiled = compiled
        self._inputs = inputs
        self._outputs = outputs
        self.batch = batch
        precision = str(compiled.get_property("INFERENCE_PRECISION_HINT"))
        self.precision = "bf16" if "bfloat16" in precision or "bf16" in precision else "f32"

    def run(self, batches: Iterable[Batch]) -> Computed:
        """Yield the boundary values of each batch, in order; some are computed at a time."""
        # not AsyncInferQueue: it calls Python from threads that can then be the last to hold the
        # compiled model, and end the process, or wait for themselves, when the engine is given up
        count = self._compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS")
        idle = [self._compiled.create_infer_request() for _ in range(count)]
        busy: deque[tuple[Any, Batch]] = deque()
        try:
            for batch in batches:
                if idle:
                    self._start(idle.pop(), batch, busy)
                    continue
                request, asked = busy.popleft()
                found = self._answer(request, asked)
                self._start(request, batch, busy)
                yield found
            while busy:
                yield self._answer(*busy.popleft())
        finally:
            for request, _ in busy:
                request.wait()

    def _start(self, request: Any, batch: Batch, busy: deque[tuple[Any, Batch]]) -> None:
        request.start_async([batch[name] for name in self._inputs])
        busy.append((request, batch))

    def _answer(self, request: Any, batch: Batch) -> Boundary:
        request.wait()
        computed = {
            name: torch.from_numpy(request.get_output_tensor(j).data.copy())
            for j, name in enumerate(self._outputs)
        }
        passed = {
            name: torch.from_numpy(value)
            for name, value in batch.items()
            if name not in computed and value.ndim == 2 and value.dtype.kind in "biu"  # of tokens
        }
        return {**computed, **passed}


def compile_openvino(module: nn.Module, example: Batch, key: str, folder: Path) -> OpenVino:
    """Compile for bf16 where the processor has it, else for float32."""
    import openvino as ov

    bf16 = "BF16" in ov.Core().get_property("CPU", "OPTIMIZATION_CAPABILITIES")
    return _compile(module, example, key, folder, "bf16" if bf16 else "f32")


def compile_float32(module: nn.Module, example: Batch, key: str, folder: Path) -> OpenVino:
    """Compile for float32, for networks to which bf16 is too coarse."""
    return _compile(module, example, key, folder, "f32")


def _compile(module: nn.Module, example: Batch, key: str, folder: Path, precision: str) -> OpenVino:
    """Convert by tracing, compile, and keep the converted model for the next time.

    The first axis is free, and the second one where inputs are sequences; those of pictures are
    fixed, which compiles to faster code. What the model is fastest with is measured once.
    """
    inputs = tuple(example)
    shapes = [
        [-1, -1, *v.shape[2:]] if v.ndim in (2, 3) else [-1, *v.shape[1:]] for v in example.values()
    ]
    stored = folder / digest_data([FORMAT, key, inputs, shapes, machine()])[:32]
    # read even where it was just written: the two differ in the last bits of their answers
    model = _stored(stored)
    if model is None:
        _convert(module, example, shapes, stored)
        model = _stored(stored)
        # one that is larger than the limit by itself is used all the same, though not kept
        make_room(folder, "*/", 0, LIMIT)
    if model is None:
        raise OSError("the converted model cannot be read")
    outputs = tuple(output.get_any_name() for output in model.outputs)
    record = folder / f"{_architecture(model, precision, shapes)}.json"
    pace = _known_pace(record)
    if pace is None:
        pace = _measured_pace(model, example, precision)
        write_json(record, pace)
    compiled = _compiled(model, precision, pace["streams"])
    return OpenVino(compiled, inputs, outputs, pace["batch"])


def _compiled(model: Any, precision: str, streams: int) -> Any:
    import openvino as ov

    settings = {"INFERENCE_PRECISION_HINT": precision, "NUM_STREAMS": str(streams)}
    compiled = ov.Core().compile_model(model, "CPU", settings)
    _leave_signals_alone()
    return compiled


def _measured_pace(model: Any, example: Batch, precision: str) -> dict[str, int]:
    """Return with how many streams, and how many rows at a time, the model is fastest here.

    Larger batches are tried until they are clearly slower, or the time for it is over.
    """
    best, pace = 0.0, {"streams": cores(), "batch": BATCHES[0]}
    until = time.monotonic() + MEASURING
    for streams in sorted({cores(), 1}, reverse=True):
        compiled = _compiled(model, precision, streams)
        before = 0.0
        for batch in BATCHES:
            found = rate(OpenVino(compiled, tuple(example), (), batch), example, batch, streams)
            if found > CLEAR * best:
                best, pace = found, {"streams": streams, "batch": batch}
            if found < SLOWER * before or time.monotonic() > until:
                break
            before = max(before, found)
        del compiled
        if time.monotonic() > until:
            break
    return pace


def _architecture(model: Any, precision: str, shapes: list[Any]) -> str:
    """Return a digest of what a model computes and where: its weights change no speed."""
    kinds = [operation.get_type_name() for operation in model.get_ordered_ops()]
    return digest_data([FORMAT, kinds, precision, shapes, machine(), cores()])[:32]


def _known_pace(record: Path) -> dict[str, int] | None:
    known = read_json(record)
    try:
        return {"streams": int(known["streams"]), "batch": int(known["batch"])}
    except (KeyError, TypeError, ValueError):
        return None


class _SignalStack(ctypes.Structure):
    _fields_ = (("start", ctypes.c_void_p), ("flags", ctypes.c_int), ("size", ctypes.c_size_t))


def _leave_signals_alone() -> None:
    """Give up the signal stack that OpenVINO puts under this thread on processors with AMX.

    It frees that stack with the core, but leaves it registered: the next signal, Ctrl-C say, would
    end the process by a segmentation fault. Without it signals use the ordinary stack.
    """
    if sys.platform != "linux":
        return
    disabled = 2  # SS_DISABLE
    ctypes.CDLL(None).sigaltstack(ctypes.byref(_SignalStack(None, disabled, 0)), None)


@contextlib.contextmanager
def _stoppable() -> Iterator[None]:
    """Raise in the end what a signal's handler raised inside, such as Ctrl-C's.

    The converter asks Python about the network, and takes whatever is raised then for a part that
    it cannot convert.
    """
    raised: list[BaseException] = []
    before: dict[int, Any] = {}

    def heard(number: int, frame: FrameType | None) -> None:
        try:
            before[number](number, frame)
        except BaseException as stop:
            raised.append(stop)
            raise

    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM, getattr(signal, "SIGALRM", None)):
            if number is not None and callable(handler := signal.getsignal(number)):
                before[number] = handler
                signal.signal(number, heard)
    try:
        yield
    except Exception:
        if not raised:
            raise
    finally:
        for number, handler in before.items():
            if signal.getsignal(number) is heard:  # else the handler has set another one
                signal.signal(number, handler)
    if raised:
        raise raised[0]


def _convert(module: nn.Module, example: Batch, shapes: list[Any], folder: Path) -> None:
    """Write the converted model into a folder of its own, in one step."""
    import openvino as ov

    traced = _Traced(module, tuple(example))
    with warnings.catch_warnings(), _stoppable():
        warnings.simplefilter("ignore")
        logging.getLogger("torch").setLevel(logging.ERROR)
        model = ov.convert_model(
            traced,
            example_input=tuple(torch.from_numpy(v[:2]) for v in example.values()),
            input=[ov.PartialShape(shape) for shape in shapes],
        )
    for output, called in zip(model.outputs, traced.outputs, strict=True):
        output.get_tensor().set_names({called})
    folder.parent.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder.parent) as scratch:
        made = Path(scratch) / "made"
        made.mkdir()
        ov.save_model(model, made / "model.xml", compress_to_fp16=False)
        (made / "checksum").write_text(_checksum(made), encoding="utf-8")
        with contextlib.suppress(OSError):  # another process was faster
            os.rename(made, folder)


def _stored(folder: Path) -> Any:
    """Return a converted model; None where there is none, or it is damaged, and then deleted."""
    import openvino as ov

    try:
        if (folder / "checksum").read_text(encoding="utf-8") != _checksum(folder):
            raise RuntimeError("damaged")
        with contextlib.suppress(OSError):  # it is somebody else's
            os.utime(folder)
        return ov.Core().read_model(folder / "model.xml")
    except (OSError, RuntimeError, ValueError):
        shutil.rmtree(folder, ignore_errors=True)
        return None


def _checksum(folder: Path) -> str:
    found = xxhash.xxh3_128()
    for name in ("model.xml", "model.bin"):
        found.update((folder / name).read_bytes())
    return found.hexdigest()


engines.register("openvino", compile_openvino)
engines.register("openvino-f32", compile_float32)
