"""OpenVINO on the CPU: bf16 where the processor has it, else float32."""

from __future__ import annotations

import ctypes
import logging
import os
import sys
import tempfile
import warnings
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from headstart.digest import digest_data
from headstart.features.engines import Batch, engines

# without its telemetry, OpenVINO reports nothing over the network, and forks no process to do so
sys.modules.setdefault("openvino_telemetry", None)  # type: ignore[arg-type]

FORMAT = 2
"""Changes when models are converted or kept in another way."""


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
    """A compiled prefix; as many batches run at once as OpenVINO finds best."""

    name = "openvino"

    def __init__(self, compiled: Any, inputs: tuple[str, ...], outputs: tuple[str, ...]) -> None:
        self._compiled = compiled
        self._inputs = inputs
        self._outputs = outputs
        precision = str(compiled.get_property("INFERENCE_PRECISION_HINT"))
        self.precision = "bf16" if "bfloat16" in precision or "bf16" in precision else "f32"

    def run(self, batches: list[Batch]) -> list[dict[str, Tensor]]:
        """Return the boundary values of each batch, in order."""
        # not AsyncInferQueue: it calls Python from threads that can then be the last to hold the
        # compiled model, and end the process, or wait for themselves, when the engine is given up
        count = self._compiled.get_property("OPTIMAL_NUMBER_OF_INFER_REQUESTS")
        requests = [self._compiled.create_infer_request() for _ in batches[:count]]
        found: list[dict[str, Tensor]] = []
        for i, batch in enumerate(batches):
            request = requests[i % count]
            if i >= count:
                found.append(self._answer(request, batches[i - count]))
            request.start_async([batch[name] for name in self._inputs])
        for i in range(len(found), len(batches)):
            found.append(self._answer(requests[i % count], batches[i]))
        return found

    def _answer(self, request: Any, batch: Batch) -> dict[str, Tensor]:
        request.wait()
        computed = {
            name: torch.from_numpy(request.get_output_tensor(j).data.copy())
            for j, name in enumerate(self._outputs)
        }
        passed = {
            name: torch.from_numpy(value)
            for name, value in batch.items()
            if name not in computed and name != "pixels"
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

    The first axis is free; further axes are free for token inputs and fixed for pictures, which
    compiles to faster code.
    """
    import openvino as ov

    inputs = tuple(example)
    shapes = [
        [-1, *(-1 for _ in v.shape[1:])] if v.ndim == 2 else [-1, *v.shape[1:]]
        for v in example.values()
    ]
    versions = [FORMAT, ov.__version__, torch.__version__]
    name = digest_data([key, inputs, shapes, versions])[:32]
    stored = folder / f"{name}.xml"
    core = ov.Core()
    if not stored.is_file():
        traced = _Traced(module, inputs)
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            logging.getLogger("torch").setLevel(logging.ERROR)
            model = ov.convert_model(
                traced,
                example_input=tuple(torch.from_numpy(v[:2]) for v in example.values()),
                input=[ov.PartialShape(shape) for shape in shapes],
            )
        for output, called in zip(model.outputs, traced.outputs, strict=True):
            output.get_tensor().set_names({called})
        _store(model, folder, name)
    # read even where it was just written: the two differ in the last bits of their answers
    try:
        model = core.read_model(stored)
        outputs = tuple(output.get_any_name() for output in model.outputs)
    except RuntimeError:  # damaged on the disk: convert it again the next time
        stored.unlink(missing_ok=True)
        raise
    settings = {"INFERENCE_PRECISION_HINT": precision, "PERFORMANCE_HINT": "THROUGHPUT"}
    compiled = core.compile_model(model, "CPU", settings)
    _leave_signals_alone()
    return OpenVino(compiled, inputs, outputs)


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


def _store(model: Any, folder: Path, name: str) -> None:
    """Write the converted model, the weights before the graph, by which it is found."""
    import openvino as ov

    folder.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder) as scratch:
        ov.save_model(model, Path(scratch) / f"{name}.xml", compress_to_fp16=False)
        for suffix in ("bin", "xml"):
            os.replace(Path(scratch) / f"{name}.{suffix}", folder / f"{name}.{suffix}")


engines.register("openvino", compile_openvino)
engines.register("openvino-f32", compile_float32)
