"""The GPU's engines, on the processor where there is no GPU: the same code, compiled or not."""

from __future__ import annotations

import numpy as np
import pytest
import torch

from headstart.features.engines import choose, compare, cuda, engines

CASES = [("toy_image", 3), ("toy_image", 7), ("toy_text", 2), ("toy_text", 4)]


def sample_of(toy, rows=5, tokens=13):
    random = np.random.default_rng(0)
    if toy == "toy_image":
        return {"pixels": random.integers(0, 256, (rows, 3, 32, 32), np.uint8)}
    lengths = np.linspace(2, tokens, rows).astype(int)
    mask = (np.arange(tokens) < lengths[:, None]).astype(np.int64)
    return {"input_ids": random.integers(1, 60, (rows, tokens)) * mask, "attention_mask": mask}


@pytest.fixture(autouse=True)
def on_what_there_is(monkeypatch):
    """The processor stands for the GPU where there is none; few batches are measured."""
    if not torch.cuda.is_available():
        monkeypatch.setattr(cuda, "DEVICE", "cpu")
    monkeypatch.setattr(cuda, "BATCHES", (2, 4))


@pytest.mark.parametrize("name", ["cuda", "cuda-f32"])
@pytest.mark.parametrize(("toy", "cut"), CASES)
def test_it_agrees_with_eager_and_answers_in_float32_on_the_processor(
    request, tmp_path, name, toy, cut
):
    prefix, sample = request.getfixturevalue(toy).prefix(cut), sample_of(toy)
    chosen = choose(prefix, sample, "key", tmp_path, (name, "eager"))
    assert chosen.name == name and chosen.refused == ()
    assert chosen.precision == ("f32" if name == "cuda-f32" else "bf16")
    assert chosen.engine.batch in (2, 4)
    batches = [sample_of(toy, rows, 9 + rows) for rows in (1, 7, 3, 2, 6)]
    eager = engines.get("eager")(prefix, sample, "key", tmp_path)
    for batch, found, expected in zip(
        batches, chosen.engine.run(batches), eager.run(batches), strict=True
    ):
        assert compare(found, expected, batch).within(chosen.precision)
        for value in found.values():
            assert value.device.type == "cpu"
            assert value.dtype in (torch.float32, torch.int64, torch.uint8)


@pytest.mark.parametrize("cut", [3, 7])
def test_stages_are_compiled_one_by_one_and_the_backbone_stays_as_it_was(
    toy_image, tmp_path, monkeypatch, cut
):
    compiled = []

    def compile_(function, **options):
        compiled.append(options)
        return function

    monkeypatch.setattr(torch, "compile", compile_)
    before = {name: type(m).forward for name, m in toy_image.model.named_modules()}
    chosen = choose(
        toy_image.prefix(cut), sample_of("toy_image"), "key", tmp_path, ("cuda-compiled",)
    )
    assert chosen.name == "cuda-compiled"
    count = sum(len(stage.modules) for stage in toy_image.stages[:cut])
    assert compiled == [{"dynamic": False}] * count
    for name, module in toy_image.model.named_modules():
        assert "forward" not in vars(module) and type(module).forward is before[name]


def test_where_stages_cannot_be_compiled_they_run_as_they_are(toy_image, tmp_path, monkeypatch):
    def fails(*_arguments, **_options):
        raise RuntimeError("no compiler here")

    monkeypatch.setattr(torch, "compile", fails)
    order = ("cuda-compiled", "cuda", "eager")
    chosen = choose(toy_image.prefix(3), sample_of("toy_image"), "key", tmp_path, order)
    assert chosen.name == "cuda"
    assert chosen.refused == ("cuda-compiled: RuntimeError: no compiler here",)


def test_larger_batches_are_taken_while_they_are_faster_and_fit(toy_image, tmp_path, monkeypatch):
    rates = {2: 10.0, 4: 20.0, 8: 20.1, 16: 90.0}
    monkeypatch.setattr(cuda, "BATCHES", tuple(rates))
    monkeypatch.setattr(cuda, "rate", lambda _engine, _example, batch, _at_once: rates[batch])

    def batch():
        prefix = toy_image.prefix(3)
        return engines.get("cuda")(prefix, sample_of("toy_image"), "key", tmp_path).batch

    assert batch() == 4

    def short_of_memory(_engine, _example, batch, _at_once):
        if batch > 2:
            raise torch.cuda.OutOfMemoryError("out of memory")
        return rates[batch]

    monkeypatch.setattr(cuda, "rate", short_of_memory)
    assert batch() == 2


@pytest.mark.parametrize("most", (3, 1))
def test_a_batch_that_is_too_large_is_computed_in_halves(monkeypatch, most):
    class Narrow(torch.nn.Module):
        def forward(self, x):
            if len(x) > most:
                raise torch.cuda.OutOfMemoryError("out of memory")
            return {"features": 2 * x}

    monkeypatch.setattr(torch.cuda, "empty_cache", lambda: None)
    engine = cuda.Cuda(Narrow(), "cuda", "f32")
    batches = [{"x": np.arange(n, dtype=np.float32)[:, None]} for n in (1, 3, 7, 2)]
    found = list(engine.run(iter(batches)))
    for batch, values in zip(batches, found, strict=True):
        assert torch.equal(values["features"], 2 * torch.from_numpy(batch["x"]))


def test_a_row_that_is_too_large_by_itself_is_said():
    class Full(torch.nn.Module):
        def forward(self, x):
            raise torch.cuda.OutOfMemoryError("out of memory")

    engine = cuda.Cuda(Full(), "cuda", "f32")
    with pytest.raises(torch.cuda.OutOfMemoryError, match="a single row"):
        list(engine.run([{"x": np.ones((3, 1), np.float32)}]))
