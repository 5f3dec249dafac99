"""Weights of other formats: their values arrive unchanged, and nothing in a file is run."""

from __future__ import annotations

import functools
import operator
import os
import pickle
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from safetensors.numpy import load_file

from headstart.errors import SourceError
from headstart.sources.formats import (
    from_ctranslate2,
    from_gguf,
    from_hdf5,
    from_pickle,
    tokenizer_from_gguf,
)

KINDS = st.sampled_from(["<f4", ">f4", "<f8", "<i4", "|u1", "<i8"])


def pickled(content, folder, protocol=3):
    path = folder / "weights.pkl"
    path.write_bytes(pickle.dumps(content, protocol=protocol))
    return path


@pytest.mark.parametrize("protocol", [3, 4])
def test_arrays_in_a_pickle_are_named_by_their_places_and_equal_numpys(tmp_path, protocol):
    random = np.random.default_rng(0)
    content = {
        "conv1": [random.normal(size=(3, 3, 2, 4)).astype("f4"), np.arange(4.0)],
        "deeper": {"by columns": np.asfortranarray(random.normal(size=(4, 5)))},
        "big endian": np.arange(5, dtype=">i4"),
        "one": (np.array(3.5, "f4"),),
    }
    kept = tmp_path / "kept.safetensors"
    from_pickle(pickled(content, tmp_path, protocol), kept)
    found = load_file(kept)
    assert set(found) == {"conv1.0", "conv1.1", "deeper.by columns", "big endian", "one.0"}
    assert np.array_equal(found["conv1.0"], content["conv1"][0])
    assert np.array_equal(found["conv1.1"], content["conv1"][1])
    assert np.array_equal(found["deeper.by columns"], content["deeper"]["by columns"])
    assert np.array_equal(found["big endian"], content["big endian"])
    assert found["one.0"] == 3.5


@given(arrays.arrays(KINDS, arrays.array_shapes(min_dims=1, max_side=4)), st.sampled_from([3, 4]))
def test_any_array_of_numbers_passes(tmp_path_factory, array, protocol):
    folder = tmp_path_factory.mktemp("any")
    from_pickle(pickled({"x": array}, folder, protocol), folder / "kept")
    found = load_file(folder / "kept")["x"]
    assert found.shape == array.shape and found.tobytes() == array.astype(found.dtype).tobytes()


class Trap:
    """Unpickling this would call something."""

    def __init__(self, call, *arguments):
        self.way = call, arguments

    def __reduce__(self):
        return self.way


def _traps(trace):
    return {
        "os": Trap(os.mkdir, str(trace)),
        "builtin": Trap(eval, f"__import__('os').mkdir({str(trace)!r})"),
        "numpy's own loader": Trap(np.load, str(trace)),
        "getattr": Trap(getattr, "text", "upper"),
        "functools": functools.partial(os.mkdir, str(trace)),
        "operator": operator.methodcaller("system", "true"),
        "a class": pytest.raises,
        "an array of objects": np.array([Trap(os.mkdir, str(trace))], object),
        "a record": np.zeros(2, [("a", "f4")]),
        "a text": "no array",
        "a number": 3,
    }


@pytest.mark.parametrize("name", list(_traps("")))
@pytest.mark.parametrize("protocol", [0, 3, 4])
def test_a_pickle_that_holds_anything_else_is_refused_and_nothing_in_it_is_run(
    tmp_path, name, protocol
):
    trace = tmp_path / "ran"
    content = {"fine": np.ones(2), "trap": _traps(trace)[name]}
    path = pickled(content, tmp_path, protocol)
    with pytest.raises(SourceError):
        from_pickle(path, tmp_path / "kept")
    assert not trace.exists() and not (tmp_path / "kept").exists()


def test_the_trap_of_this_test_works(tmp_path):
    pickle.loads(pickled(_traps(tmp_path / "ran")["os"], tmp_path).read_bytes())
    assert (tmp_path / "ran").exists()


def test_the_refusal_names_what_was_asked_for(tmp_path):
    with pytest.raises(SourceError, match=r"asks for posix\.mkdir|asks for nt\.mkdir"):
        from_pickle(pickled({"x": Trap(os.mkdir, "x")}, tmp_path), tmp_path / "kept")


@given(st.binary(max_size=60))
def test_any_bytes_are_arrays_or_a_message(tmp_path_factory, content):
    folder = tmp_path_factory.mktemp("bytes")
    (folder / "sent").write_bytes(content)
    try:
        from_pickle(folder / "sent", folder / "kept")
    except SourceError:
        return
    load_file(folder / "kept")


def test_arrays_of_hdf5_are_named_by_their_paths(tmp_path):
    import h5py

    with h5py.File(tmp_path / "sent.h5", "w") as file:
        file["block1/conv/vars/0"] = np.arange(6.0, dtype="f4").reshape(2, 3)
        file["bias"] = np.ones(2, "f4")
    from_hdf5(tmp_path / "sent.h5", tmp_path / "kept")
    found = load_file(tmp_path / "kept")
    assert set(found) == {"block1/conv/vars/0", "bias"}
    assert np.array_equal(found["block1/conv/vars/0"], [[0, 1, 2], [3, 4, 5]])


def test_tensors_and_tokenizer_of_gguf_are_read(tmp_path):
    from gguf import GGMLQuantizationType, GGUFWriter, dequantize, quantize
    from tokenizers import Tokenizer

    values = np.random.default_rng(0).normal(size=(4, 64)).astype("f4")
    kind = GGMLQuantizationType.Q8_0
    writer = GGUFWriter(tmp_path / "sent.gguf", "llama")
    writer.add_tensor("plain", values)
    writer.add_tensor("rounded", quantize(values, kind), raw_dtype=kind)
    tokens = ["<end>", *(chr(letter) for letter in range(97, 123)), "ab", "abc"]
    writer.add_tokenizer_model("gpt2")
    writer.add_token_list(tokens)
    writer.add_token_types([3, *[1] * (len(tokens) - 1)])
    writer.add_token_merges(["a b", "ab c"])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(0)
    writer.add_block_count(1)
    for write in ("header", "kv_data", "tensors"):
        getattr(writer, f"write_{write}_to_file")()
    writer.close()
    from_gguf(tmp_path / "sent.gguf", tmp_path / "kept")
    found = load_file(tmp_path / "kept")
    assert np.array_equal(found["plain"], values)
    assert np.array_equal(found["rounded"], dequantize(quantize(values, kind), kind))
    assert 0 < np.abs(found["rounded"] - values).max() < 0.02
    tokenizer_from_gguf(tmp_path / "sent.gguf", tmp_path / "tokenizer.json")
    reads = Tokenizer.from_str((tmp_path / "tokenizer.json").read_text(encoding="utf-8"))
    assert reads.encode("abcd").ids == [tokens.index("abc"), tokens.index("d")]


def container(variables):
    """Return a CTranslate2 container, little endian, as its specification lays it out."""

    def text(value):
        return struct.pack("<H", len(value) + 1) + value.encode() + b"\0"

    kinds = {"f4": 0, "i1": 1, "i2": 2, "i4": 3, "f2": 4}
    content = struct.pack("<I", 6) + text("WhisperSpec") + struct.pack("<II", 3, len(variables))
    for name, value in variables.items():
        content += text(name) + struct.pack("<B", value.ndim)
        content += struct.pack(f"<{value.ndim}I", *value.shape)
        content += struct.pack("<BI", kinds[value.dtype.str[1:]], value.nbytes) + value.tobytes()
    return content


VARIABLES = {
    "encoder/conv1/weight": np.arange(12, dtype="f2").reshape(2, 3, 2),
    "scale": np.array(1, "i1"),
    "decoder/embeddings/weight": np.ones((4, 2), "f4"),
}


def test_variables_of_ctranslate2_are_read(tmp_path):
    (tmp_path / "sent").write_bytes(container(VARIABLES))
    from_ctranslate2(tmp_path / "sent", tmp_path / "kept")
    found = load_file(tmp_path / "kept")
    assert set(found) == set(VARIABLES)
    assert all(np.array_equal(found[name], VARIABLES[name]) for name in VARIABLES)


@given(st.integers(0, len(container(VARIABLES)) - 1), st.binary(max_size=4))
def test_a_container_that_was_changed_is_arrays_or_a_message(tmp_path_factory, place, noise):
    folder, content = tmp_path_factory.mktemp("changed"), container(VARIABLES)
    for changed in (content[:place], content[:place] + noise + content[place + len(noise) :]):
        (folder / "sent").write_bytes(changed)
        try:
            from_ctranslate2(folder / "sent", folder / "kept")
        except SourceError as why:
            assert "sent is damaged" in str(why)


@pytest.mark.parametrize("read", [from_hdf5, from_gguf, from_pickle, from_ctranslate2])
@pytest.mark.parametrize("content", [b"", b"GGUF", b"\x89HDF\r\n\x1a\n", b"\x80\x02}"])
def test_a_damaged_file_is_said_to_be_damaged(tmp_path, read, content):
    (tmp_path / "sent").write_bytes(content)
    with pytest.raises(SourceError, match="sent is damaged"):
        read(tmp_path / "sent", tmp_path / "kept")
