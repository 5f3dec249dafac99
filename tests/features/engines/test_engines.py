"""Engines: trusted only where they agree with eager float32 on the user's own rows."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from torch import nn

from headstart.features.engines import COSINE, ERROR, ORDERS, choose, compare, engines
from headstart.sources.catalogue import sources
from headstart.sources.loading import load_source
from tiny import build, inputs_for

SAMPLE = {"x": np.arange(1, 13, dtype=np.float32).reshape(4, 3)}


class Double(nn.Module):
    def forward(self, x):
        return {"features": 2 * x}


@dataclass
class Fake:
    """An engine that doubles as `Double` does, but for what `spoil` does to the answer."""

    spoil: object = lambda answer: answer
    name: str = "fake"
    precision: str = "f32"
    batch: int = 16

    def run(self, batches):
        for batch in batches:
            yield self.spoil({"features": 2 * torch.from_numpy(batch["x"])})


@pytest.fixture
def fake():
    """A function that registers an engine named `fake` for the length of the test."""
    registered = []

    def register(compile_engine, name="fake"):
        engines.register(name, compile_engine)
        registered.append(name)

    yield register
    for name in registered:
        engines.unregister(name)


def texts(rows=5, tokens=13, vocabulary=60):
    random = np.random.default_rng(0)
    mask = (np.arange(tokens) < np.linspace(2, tokens, rows).astype(int)[:, None]).astype(np.int64)
    return {
        "input_ids": random.integers(1, vocabulary, (rows, tokens)) * mask,
        "attention_mask": mask,
    }


def pictures(rows=4, size=32):
    return {"pixels": np.random.default_rng(0).integers(0, 256, (rows, 3, size, size), np.uint8)}


def raising(error):
    def fail(*_arguments, **_options):
        raise error

    return fail


def test_each_device_has_its_own_engines_and_eager_comes_always_last():
    assert ORDERS["cpu"][0] == "openvino" and ORDERS["cuda"][0] == "cuda-compiled"
    assert all(order[-1] == "eager" for order in ORDERS.values())
    assert set(ORDERS["cuda"]) == set(engines.names()) > set(ORDERS["cpu"])


def test_an_engine_that_agrees_is_used(fake, tmp_path):
    engine = Fake()
    fake(lambda *_arguments: engine)
    chosen = choose(Double(), SAMPLE, "key", tmp_path, ("fake", "eager"))
    assert chosen.engine is engine and chosen.refused == ()
    assert chosen.cosine == pytest.approx(1) and chosen.error == 0


@pytest.mark.parametrize(
    ("spoil", "reason"),
    [
        (lambda a: {"features": a["features"] * 1.02}, "cosine 1.0000, error 0.0200"),
        (lambda a: {"features": a["features"].flip(0)}, "cosine 0.9"),
        (lambda a: {"features": -a["features"]}, "cosine -1.0000"),
        (lambda a: {"features": a["features"] / 0 * 0}, "cosine -1.0000, error inf"),
        (lambda a: {"features": a["features"] / 0}, "cosine -1.0000, error inf"),
        (lambda a: {"features": a["features"][:1]}, "cosine -1.0000, error inf"),
        (lambda a: {"other": a["features"]}, "KeyError: 'features'"),
        (lambda a: raising(MemoryError("no room"))(), "MemoryError: no room"),
    ],
    ids=["scaled", "rows swapped", "negative", "nan", "infinite", "short", "misnamed", "raises"],
)
def test_an_engine_that_disagrees_is_refused_with_its_figures_and_eager_used(
    fake, tmp_path, spoil, reason
):
    fake(lambda *_arguments: Fake(spoil))
    chosen = choose(Double(), SAMPLE, "key", tmp_path, ("fake", "eager"))
    assert chosen.engine.name == "eager"
    assert len(chosen.refused) == 1 and chosen.refused[0].startswith("fake: ")
    assert reason in chosen.refused[0]
    [found] = chosen.engine.run([SAMPLE])
    assert torch.equal(found["features"], torch.from_numpy(2 * SAMPLE["x"]))


@pytest.mark.parametrize(
    ("error", "reason"),
    [
        (RuntimeError("cannot convert\nlong trace"), "fake: RuntimeError: cannot convert"),
        (AssertionError(), "fake: AssertionError: no reason given"),
        (ImportError("x" * 500), "fake: ImportError: " + "x" * 200),
    ],
)
def test_an_engine_that_cannot_compile_is_refused_with_one_line_of_reason(
    fake, tmp_path, error, reason
):
    fake(raising(error))
    chosen = choose(Double(), SAMPLE, "key", tmp_path, ("fake", "eager"))
    assert chosen.engine.name == "eager" and chosen.refused == (reason,)


def test_the_next_engine_in_order_is_tried_and_none_after_eager(fake, tmp_path):
    fake(raising(RuntimeError("first")), "broken")
    fake(lambda *_arguments: Fake())
    chosen = choose(Double(), SAMPLE, "key", tmp_path, ("broken", "fake", "eager"))
    assert chosen.engine.name == "fake" and chosen.refused == ("broken: RuntimeError: first",)
    chosen = choose(Double(), SAMPLE, "key", tmp_path, ("eager", "fake"))
    assert chosen.engine.name == "eager" and chosen.refused == ()


@pytest.mark.parametrize(("precision", "serves"), [("bf16", True), ("f32", False)])
def test_the_bounds_are_those_of_the_precision(fake, tmp_path, precision, serves):
    fake(lambda *_: Fake(lambda a: {"features": a["features"] * 1.05}, precision=precision))
    chosen = choose(Double(), SAMPLE, "key", tmp_path, ("fake", "eager"))
    assert (chosen.engine.name == "fake") is serves


def test_where_eager_itself_is_not_finite_no_engine_can_agree(fake, tmp_path):
    class Overflowing(nn.Module):
        def forward(self, x):
            return {"features": 2 * x / torch.zeros(3)}

    fake(lambda *_arguments: Fake())
    chosen = choose(Overflowing(), SAMPLE, "key", tmp_path, ("fake", "eager"))
    assert chosen.engine.name == "eager"


def test_compare_by_hand():
    ones, counted = torch.ones(2, 4), torch.arange(2)
    same = compare({"a": ones, "n": counted}, {"a": ones, "n": counted}, {})
    assert (same.cosine, same.error) == (pytest.approx(1), 0)
    # the second row turned by a right angle: root mean square of the difference is 1, of ones 1
    turned = torch.stack([ones[0], torch.tensor([1.0, -1.0, 1.0, -1.0])])
    found = compare({"a": turned}, {"a": ones}, {})
    assert found.cosine == pytest.approx(0) and found.error == pytest.approx(1)


def test_compare_is_not_misled_by_one_row_that_stands_for_all():
    assert compare({"a": torch.ones(1, 4)}, {"a": torch.ones(3, 4)}, {}).error == float("inf")


def test_two_rows_of_zeros_agree_and_one_alone_does_not():
    rows = torch.tensor([[1.0, 2.0], [0.0, 0.0]])
    assert compare({"a": rows}, {"a": rows.clone()}, {}).within("f32")
    assert not compare({"a": rows}, {"a": rows + 0.1}, {}).within("f32")


def test_compare_takes_the_worst_of_all_names():
    ones = torch.ones(2, 4)
    found = compare({"a": ones, "b": 1.5 * ones}, {"a": ones, "b": ones}, {})
    assert found.error == pytest.approx(0.5)


def test_compare_leaves_padding_out_but_no_token():
    mask = np.array([[1, 1, 0]])
    reference = torch.tensor([[[1.0, 0], [0, 1], [0, 0]]])
    wild = reference.clone()
    wild[0, 2] = 99
    assert compare({"a": wild}, {"a": reference}, {"attention_mask": mask}).error == 0
    wild[0, 1] = 99
    assert compare({"a": wild}, {"a": reference}, {"attention_mask": mask}).error > 1


@pytest.mark.parametrize("engine", ["openvino", "openvino-f32"])
@pytest.mark.parametrize(
    ("toy", "cut", "sample"),
    [
        ("toy_image", 3, pictures()),
        ("toy_image", 7, pictures()),
        ("toy_text", 2, texts()),
        ("toy_text", 4, texts()),
    ],
)
def test_openvino_agrees_with_eager_within_the_bounds(request, tmp_path, engine, toy, cut, sample):
    backbone = request.getfixturevalue(toy)
    chosen = choose(backbone.prefix(cut), sample, "key", tmp_path, (engine, "eager"))
    assert chosen.refused == ()
    precision = chosen.engine.precision
    assert precision == "f32" or engine == "openvino"
    assert chosen.cosine >= COSINE[precision] and chosen.error <= ERROR[precision]
    # other batches than the one it was checked on: another number of rows, another length
    others = [pictures(7), pictures(1)] if "pixels" in sample else [texts(7, 5), texts(1, 20)]
    eager = engines.get("eager")(backbone.prefix(cut), sample, "key", tmp_path)
    for other, found, expected in zip(
        others, chosen.engine.run(others), eager.run(others), strict=True
    ):
        assert found.keys() >= expected.keys()
        assert all(found[name].shape == expected[name].shape for name in expected)
        assert compare(found, expected, other).within(precision)


@pytest.mark.parametrize(
    ("name", "sample"),
    [("bundled/efficientnet-lite0", pictures(8, 64)), ("bundled/minilm", texts(8, 20, 30_000))],
)
def test_openvino_serves_the_real_weights_of_the_bundled_sources(tmp_path, name, sample):
    backbone = load_source(sources.get(name)).backbone
    chosen = choose(backbone.prefix(backbone.end), sample, name, tmp_path)
    assert chosen.engine.name == "openvino" and chosen.refused == ()


@pytest.mark.parametrize("name", ["whisper", "wav2vec2", "wavlm", "ast", "speakers"])
def test_openvino_serves_sounds_of_any_number_and_length(tmp_path, name):
    backbone = build(name)
    known, others = (
        inputs_for(backbone, rows=rows, size=size) for rows, size in ((3, 40), (5, 60))
    )
    for cut in (1, backbone.end):
        prefix = backbone.prefix(cut).eval()
        sample, asked = ({n: v.numpy() for n, v in rows.items()} for rows in (known, others))
        chosen = choose(prefix, sample, f"{name}{cut}", tmp_path, ("openvino-f32", "eager"))
        assert (chosen.name, chosen.refused) == ("openvino-f32", ())
        with torch.no_grad():
            expected = prefix(**others)
        [found] = chosen.engine.run([asked])
        assert compare(found, expected, asked).within("f32")


def test_a_converted_model_is_kept_and_not_converted_again(toy_image, tmp_path, monkeypatch):
    import openvino as ov

    def chosen(key="key", sample=None):
        return choose(toy_image.prefix(3), sample or pictures(), key, tmp_path, ("openvino",))

    def answer(one):
        [found] = one.engine.run([pictures()])
        return found["stage.0"]

    expected = answer(chosen())
    monkeypatch.setattr(ov, "convert_model", raising(RuntimeError("converted again")))
    again = chosen(sample=pictures(5))  # rows that it was not checked on yet
    assert again.refused == () and again.engine.name == "openvino"
    assert torch.equal(answer(again), expected)
    assert "converted again" in chosen(key="another key").refused[0]
    assert "converted again" in chosen(sample=pictures(size=48)).refused[0]


@pytest.mark.parametrize("suffix", ["xml", "bin"])
@pytest.mark.parametrize("kept", [0.5, 1])
def test_a_damaged_converted_model_gives_no_wrong_answer(toy_image, tmp_path, suffix, kept):
    def chosen():
        return choose(toy_image.prefix(3), pictures(), "key", tmp_path, ("openvino",))

    [expected] = chosen().engine.run([pictures()])
    [path] = tmp_path.glob(f"*/model.{suffix}")
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 64
    damaged = bytes(content[: int(kept * len(content))])
    path.write_bytes(damaged)
    [found] = chosen().engine.run([pictures()])
    assert compare(found, expected, pictures()).within("bf16")
    [made_again] = tmp_path.glob(f"*/model.{suffix}")
    assert made_again.read_bytes() != damaged


def test_engines_may_be_given_up_at_once_any_number_of_times(tmp_path):
    """Threads of OpenVINO that still held the engine would end the process, or stop it for good."""
    code = (
        "import numpy, pathlib, sys, torch\n"
        "from headstart.features.engines import choose\n"
        "class Convolved(torch.nn.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.conv = torch.nn.Conv2d(3, 8, 3)\n"
        "    def forward(self, x): return {'features': self.conv(x)}\n"
        "sample = {'x': numpy.ones((4, 3, 16, 16), 'float32')}\n"
        "for i in range(40):  # the first values alone are asked for\n"
        "    chosen = choose(Convolved(), sample, f'k{i % 2}', pathlib.Path(sys.argv[1]))\n"
        "    next(chosen.engine.run([sample] * 4))\n"
        "print(len(chosen.refused), 'refused')\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0 and done.stdout.strip() == "0 refused", done.stderr


@pytest.mark.parametrize("toy", ["toy_image", "toy_text"])
def test_many_batches_come_back_in_order(request, tmp_path, toy):
    prefix = request.getfixturevalue(toy).prefix(2)
    sample = pictures(9) if toy == "toy_image" else texts(9)
    batches = [{name: value[i : i + 1] for name, value in sample.items()} for i in range(9)]
    engine = choose(prefix, sample, "key", tmp_path, ("openvino",)).engine
    eager = engines.get("eager")(prefix, sample, "key", tmp_path)
    for one, found, expected in zip(batches, engine.run(batches), eager.run(batches), strict=True):
        assert compare(found, expected, one).within("bf16")
        assert all(torch.equal(found[n], expected[n]) for n in expected if n in sample)
    assert list(engine.run([])) == []


def test_openvino_sends_nothing_over_the_network(tmp_path):
    code = "import headstart.features.engines.openvino, openvino, sys; print(sorted(sys.modules))"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "'openvino.tools.ovc'" in done.stdout
    assert "openvino_telemetry.main" not in done.stdout


@pytest.mark.skipif(sys.platform != "linux", reason="asks the Linux C library")
def test_after_compiling_signals_use_the_ordinary_stack(tmp_path):
    """OpenVINO puts a stack of its own under them on processors with AMX, and frees it later."""
    code = (
        "import ctypes, numpy, pathlib, signal, sys, torch\n"
        "from headstart.features.engines import choose\n"
        "class Convolved(torch.nn.Module):\n"
        "    def __init__(self):\n"
        "        super().__init__()\n"
        "        self.conv = torch.nn.Conv2d(3, 8, 3)\n"
        "    def forward(self, x): return {'features': self.conv(x)}\n"
        "sample = {'x': numpy.ones((4, 3, 16, 16), 'float32')}\n"
        "chosen = choose(Convolved(), sample, 'k', pathlib.Path(sys.argv[1]), ('openvino',))\n"
        "assert not chosen.refused, chosen.refused\n"
        "found = (ctypes.c_size_t * 3)()\n"
        "ctypes.CDLL(None).sigaltstack(None, found)\n"
        "print('of its own' if found[0] else 'ordinary')\n"
        "signal.signal(signal.SIGINT, signal.default_int_handler)  # a background job ignores it\n"
        "try: signal.raise_signal(signal.SIGINT)\n"
        "except KeyboardInterrupt: print('interrupted')\n"
    )
    command = [sys.executable, "-c", code, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True)
    assert done.returncode == 0 and done.stdout.split() == ["ordinary", "interrupted"], done.stderr


def test_a_choice_is_kept_for_the_same_rows_and_made_again_for_others(fake, tmp_path):
    compiled = []

    def compile_engine(*_arguments):
        compiled.append(1)
        return Fake()

    fake(compile_engine)
    first = choose(Double(), SAMPLE, "key", tmp_path, ("fake", "eager"))
    assert len(compiled) == 1
    again = choose(Double(), SAMPLE, "key", tmp_path, ("fake", "eager"))
    assert len(compiled) == 1, "nothing is compiled before it is asked for"
    for name in ("name", "precision", "cosine", "error", "refused"):
        assert getattr(again, name) == getattr(first, name)
    [found] = again.engine.run([SAMPLE])
    assert again.engine is again.engine and len(compiled) == 2
    assert torch.equal(found["features"], torch.from_numpy(2 * SAMPLE["x"]))
    other = {"x": SAMPLE["x"] + 1}
    choose(Double(), other, "key", tmp_path, ("fake", "eager"))
    choose(Double(), SAMPLE, "another key", tmp_path, ("fake", "eager"))
    assert len(compiled) == 4


@pytest.mark.parametrize("damage", ["", "[]", '{"name": "fake"}', "nonsense"])
def test_a_damaged_record_of_a_choice_counts_as_absent(fake, tmp_path, damage):
    fake(lambda *_arguments: Fake())
    choose(Double(), SAMPLE, "key", tmp_path, ("fake", "eager"))
    [record] = tmp_path.glob("*.json")
    record.write_text(damage)
    assert choose(Double(), SAMPLE, "key", tmp_path, ("fake", "eager")).name == "fake"
    assert "cosine" in record.read_text()


def test_what_can_no_longer_be_compiled_gives_way_to_the_next_engine(fake, tmp_path, monkeypatch):
    works = [True]
    fake(lambda *_arguments: Fake() if works[0] else raising(RuntimeError("gone"))())
    choose(Double(), SAMPLE, "key", tmp_path, ("fake", "eager"))
    works[0] = False
    assert choose(Double(), SAMPLE, "key", tmp_path, ("fake", "eager")).engine.name == "eager"
    assert choose(Double(), SAMPLE, "key", tmp_path, ("fake", "eager")).name == "eager"


def test_batch_and_streams_are_measured_once(toy_image, tmp_path, monkeypatch):
    from headstart.features.engines import openvino as module

    rates = {4: 100.0, 8: 300.0, 16: 250.0}
    tried = []

    def rate(_engine, _example, batch, streams):
        tried.append((streams, batch))
        return rates.get(batch, 0.0) / streams

    monkeypatch.setattr(module, "rate", rate)
    monkeypatch.setattr(module, "cores", lambda: 2)

    def compiled(key):
        return engines.get("openvino")(toy_image.prefix(3), pictures(), key, tmp_path)

    found = compiled("key")
    assert found.batch == 8 and found._compiled.get_property("NUM_STREAMS") == 1
    assert tried == [(2, 4), (2, 8), (2, 16), (1, 4), (1, 8), (1, 16)], "16 is clearly slower"
    assert compiled("key").batch == 8 and len(tried) == 6
    monkeypatch.setattr(module, "MEASURING", 0.0)
    assert compiled("other weights").batch == 8 and len(tried) == 6
    shallower = engines.get("openvino")(toy_image.prefix(2), pictures(), "key 2", tmp_path)
    assert shallower.batch == 4 and len(tried) == 7


def test_compiled_models_used_longest_ago_make_room(toy_image, tmp_path, monkeypatch):
    from headstart.features.engines import openvino as module
    from headstart.places import size_of

    def compiled(key):
        return engines.get("openvino")(toy_image.prefix(3), pictures(), key, tmp_path)

    compiled("first")
    [first] = [path for path in tmp_path.iterdir() if path.is_dir()]
    os.utime(first, (1000, 1000))
    monkeypatch.setattr(module, "LIMIT", int(1.5 * size_of(tmp_path, "*/")))
    compiled("second")
    [second] = [path for path in tmp_path.iterdir() if path.is_dir()]
    assert second != first
    monkeypatch.setattr(module, "LIMIT", 10)
    [found] = compiled("third").run([pictures()])
    assert all(torch.isfinite(v).all() for v in found.values()), "used, though it may not stay"
    assert not [path for path in tmp_path.iterdir() if path.is_dir()]


@pytest.mark.parametrize("passing", (OSError("No space left on device"), MemoryError()))
def test_what_may_be_over_another_time_decides_only_once(fake, tmp_path, passing):
    working = []

    def compile_engine(*_arguments):
        if not working:
            raise passing
        return Fake()

    fake(compile_engine)
    assert choose(Double(), SAMPLE, "key", tmp_path, ("fake", "eager")).name == "eager"
    working.append(True)
    assert choose(Double(), SAMPLE, "key", tmp_path, ("fake", "eager")).name == "fake"


def test_an_engine_that_is_right_at_the_traced_length_alone_is_refused(fake, tmp_path):
    class Sum(nn.Module):
        def forward(self, input_ids, attention_mask):
            return {"features": (input_ids * attention_mask).float()[:, :2] + 1}

    class Unrolled(Fake):
        def run(self, batches):
            for batch in batches:
                if batch["input_ids"].shape[1] != 13:
                    raise RuntimeError("shapes do not match")
                values = {name: torch.from_numpy(value) for name, value in batch.items()}
                yield Sum()(**values)

    fake(lambda *_arguments: Unrolled())
    found = choose(Sum(), texts(), "key", tmp_path, ("fake", "eager"))
    assert found.name == "eager" and "shapes do not match" in found.refused[0]


def test_ctrl_c_while_a_network_is_converted_is_no_part_that_cannot_be_converted(
    tmp_path, monkeypatch
):
    """The converter asks the decoder, and takes what is raised there for a failure of its own."""
    from openvino.frontend.pytorch.ts_decoder import TorchScriptPythonDecoder as Decoder

    asked = Decoder.get_op_type

    def interrupted(self):
        monkeypatch.setattr(Decoder, "get_op_type", asked)
        signal.raise_signal(signal.SIGINT)

    monkeypatch.setattr(Decoder, "get_op_type", interrupted)
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        with pytest.raises(KeyboardInterrupt):
            choose(Double(), SAMPLE, "key", tmp_path, ("openvino",))
        assert signal.getsignal(signal.SIGINT) is signal.default_int_handler
    finally:
        signal.signal(signal.SIGINT, before)
    assert choose(Double(), SAMPLE, "key", tmp_path, ("openvino",)).refused == ()
