"""Checkpoints: replaced at once or not at all, and of no harm where they are damaged."""

from __future__ import annotations

import pytest
import torch
from safetensors import SafetensorError

from headstart.training.checkpoint import Checkpoint

TENSORS = {"a/b": torch.arange(6.0).reshape(2, 3), "c": torch.tensor(3)}


@pytest.fixture
def kept(tmp_path):
    return Checkpoint(tmp_path / "deep" / "step.safetensors", every=0.0)


def test_what_is_written_is_read(kept):
    assert kept.read() is None
    kept.write(TENSORS, {"done": 3, "history": [{"loss": 0.5}]})
    tensors, facts = kept.read()
    assert tensors.keys() == TENSORS.keys()
    assert all(torch.equal(tensors[name], TENSORS[name]) for name in TENSORS)
    assert facts == {"done": 3, "history": [{"loss": 0.5}]}
    assert [path.name for path in kept.path.parent.iterdir()] == ["step.safetensors"]


def test_any_layout_can_be_written(kept):
    value = torch.randn(2, 3, 4, 4).to(memory_format=torch.channels_last)
    kept.write({"x": value, "y": value.transpose(0, 1)}, {})
    assert torch.equal(kept.read()[0]["x"], value)


@pytest.mark.parametrize("share", (0.0, 0.3, 0.9))
def test_a_damaged_one_is_as_none(kept, share):
    kept.write(TENSORS, {})
    content = kept.path.read_bytes()
    kept.path.write_bytes(content[: int(share * len(content))])
    assert kept.read() is None


def test_where_the_disk_is_full_the_one_before_stays(kept, monkeypatch):
    kept.write(TENSORS, {"done": 1})

    def half(_tensors, path, _facts):
        path.write_bytes(b"half of")
        raise SafetensorError("No space left on device")

    monkeypatch.setattr("headstart.training.checkpoint.save_file", half)
    kept.write(TENSORS, {"done": 2})
    assert kept.read()[1] == {"done": 1}
    assert [path.name for path in kept.path.parent.iterdir()] == ["step.safetensors"]


def test_it_can_be_cleared_more_than_once(kept):
    kept.write(TENSORS, {})
    kept.clear()
    kept.clear()
    assert kept.read() is None


def test_it_is_due_after_a_while(tmp_path):
    assert Checkpoint(tmp_path / "a", every=0.0).due
    assert not Checkpoint(tmp_path / "a", every=1e6).due
