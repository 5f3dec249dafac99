"""Loading: files are checked, and nothing but tensors is read out of them."""

from __future__ import annotations

import os
import pickle
from contextlib import suppress
from dataclasses import replace

import pytest
import torch
from safetensors.torch import save_file

from headstart.digest import digest_file
from headstart.errors import SourceError
from headstart.sources import fetching
from headstart.sources.catalogue import Source, SourceFile
from headstart.sources.families import families
from headstart.sources.loading import check_digest, load_source, read_tensors

LOOKS = {"size": 32, "mean": [0.5, 0.5, 0.5], "std": [0.5, 0.5, 0.5]}


class Trap:
    """Unpickling this would create the file."""

    def __init__(self, path):
        self.path = path

    def __reduce__(self):
        return os.mkdir, (str(self.path),)


@pytest.fixture
def source(tmp_path, monkeypatch, toy_image):
    """A source whose only file is already on this machine, with the weights of `toy_image`."""
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path))
    made = Source(
        id="bundled/toy",
        title="Toy",
        modality="image",
        family="timm",
        config={"name": "test_efficientnet"},
        settings=LOOKS,
        texts=(),
        weights="toy.safetensors",
        files=(),
        convert=lambda tensors, fresh: tensors,
        parameters=0,
        architecture="",
        pretraining="",
        licence="",
        prefer="",
    )
    folder = fetching.folder_of(made)
    folder.mkdir(parents=True)
    save_file(toy_image.model.state_dict(), folder / made.weights)
    return replace(made, files=(SourceFile(made.weights, digest_file(folder / made.weights), ()),))


def test_the_weights_of_the_file_are_those_of_the_backbone(source, toy_image):
    loaded = load_source(source)
    state = loaded.backbone.model.state_dict()
    for name, value in toy_image.model.state_dict().items():
        assert torch.equal(state[name], value)
    assert loaded.backbone.preprocessing.settings == LOOKS and loaded.source is source


def test_the_digest_names_the_weights_and_the_kind_of_output(source, toy_image):
    digest = load_source(source).digest
    assert load_source(source).digest == digest != load_source(source, "map").digest
    path = fetching.folder_of(source) / source.weights
    state = toy_image.model.state_dict()
    save_file({**state, "network.conv_stem.weight": state["network.conv_stem.weight"] + 1}, path)
    changed = replace(source, files=(SourceFile(source.weights, digest_file(path), ()),))
    assert load_source(changed).digest != digest


def test_a_file_with_another_digest_is_refused_with_what_to_do(source):
    path = fetching.folder_of(source) / source.weights
    path.write_bytes(path.read_bytes()[:-1] + b"\0")
    with pytest.raises(SourceError) as caught:
        load_source(source)
    said = str(caught.value)
    assert f"{path} of bundled/toy is damaged or was exchanged" in said
    assert "Delete the file; `headstart sources fetch bundled/toy` brings it anew" in said


@pytest.mark.parametrize("change", ["missing", "another shape"])
def test_weights_that_do_not_fit_the_network_are_refused_by_name(source, change):
    def convert(tensors, fresh):
        name = "network.conv_stem.weight"
        if change == "missing":
            return {n: t for n, t in tensors.items() if n != name}
        return {**tensors, name: tensors[name][:1]}

    with pytest.raises(SourceError, match=r"the weights do not fit.*network\.conv_stem\.weight"):
        load_source(replace(source, convert=convert))


@pytest.mark.parametrize("kind", ["zip", "legacy", "plain pickle", "nested"])
def test_a_pickle_with_code_in_it_is_refused_and_the_code_not_run(tmp_path, kind):
    path, trace = tmp_path / "weights.pth", tmp_path / "ran"
    content = {"weight": torch.ones(2), "trap": Trap(trace)}
    if kind == "plain pickle":
        path.write_bytes(pickle.dumps(Trap(trace), protocol=2))
    elif kind == "nested":
        torch.save({"state": {"deeper": [Trap(trace)]}}, path)
    else:
        torch.save(content, path, _use_new_zipfile_serialization=kind == "zip")
    with pytest.raises(SourceError) as caught:
        read_tensors(path)
    assert "holds more than tensors and was refused: loading it could run code" in str(caught.value)
    assert str(path) in str(caught.value)
    assert not trace.exists()
    with suppress(RuntimeError):  # torch finds out too late that a plain pickle is not its own
        torch.load(path, weights_only=False)
    assert trace.exists(), "the trap of this test does not work"


@pytest.mark.parametrize("zipped", [True, False])
def test_tensors_in_a_pytorch_file_are_read(tmp_path, zipped):
    content = {"a": torch.arange(3.0), "b": torch.ones(2, dtype=torch.int64)}
    path = tmp_path / "weights.pth"
    torch.save(content, path, _use_new_zipfile_serialization=zipped)
    found = read_tensors(path)
    assert set(found) == {"a", "b"} and torch.equal(found["a"], content["a"])


@pytest.mark.parametrize("content", [{"epoch": 3}, [torch.ones(1)], torch.ones(1)])
def test_what_is_no_mapping_of_names_to_tensors_is_refused(tmp_path, content):
    torch.save(content, tmp_path / "weights.pth")
    with pytest.raises(SourceError, match="is no plain mapping of names to tensors"):
        read_tensors(tmp_path / "weights.pth")


@pytest.mark.parametrize("name", ["weights.safetensors", "weights.pth"])
@pytest.mark.parametrize("keep", [0, 5, 0.5, 0.99])
def test_a_file_cut_short_is_said_to_be_damaged(tmp_path, name, keep):
    path = tmp_path / name
    content = {"weight": torch.arange(1000.0)}
    save_file(content, path) if name.endswith("safetensors") else torch.save(content, path)
    whole = path.read_bytes()
    path.write_bytes(whole[: keep if isinstance(keep, int) else int(len(whole) * keep)])
    with pytest.raises(SourceError) as caught:
        read_tensors(path)
    assert f"{path} is damaged" in str(caught.value)


def test_a_missing_file_is_said_to_be_missing(tmp_path):
    with pytest.raises(SourceError, match=r"gone\.safetensors"):
        read_tensors(tmp_path / "gone.safetensors")


def test_check_digest_passes_the_right_file(tmp_path):
    (tmp_path / "a").write_bytes(b"abc")
    # the published example of sha256, FIPS 180-2
    expected = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    check_digest(tmp_path / "a", expected, "bundled/toy")


def test_an_unknown_family_is_answered_with_those_known(source):
    with pytest.raises(Exception, match="There is no family called 'timmm'"):
        load_source(replace(source, family="timmm"))
    assert "timm" in families.names()
