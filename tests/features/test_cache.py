"""The cache of boundary values: exact, keyed by all that matters, and never in the way."""

from __future__ import annotations

import os

import pytest
import torch
from safetensors import SafetensorError

from headstart.features import cache as module
from headstart.features.cache import ActivationCache, key_of

KEY = "ab" + "0" * 62
OTHER = "cd" + "1" * 62
ARGUMENTS = {
    "source": "source digest",
    "cut": "blocks.3",
    "preprocessing": [{"size": 64}, {}],
    "view": 0,
    "engine": "openvino-bf16",
    "rows": ["x", "y"],
}


@pytest.fixture
def cache(tmp_path):
    return ActivationCache(tmp_path / "activations")


def boundary(n=4, fill=1.0):
    return {"stage.0": torch.full((n, 8), fill), "attention_mask": torch.ones(n, 3).long()}


def test_what_was_saved_is_loaded_bit_for_bit_in_its_own_type(cache):
    saved = {
        "a": torch.randn(3, 4).to(torch.bfloat16),
        "b": torch.arange(6).view(2, 3).T,
        "c": torch.tensor([float("nan"), float("inf"), -0.0]),
    }
    cache.save(KEY, saved)
    found = cache.load(KEY)
    assert set(found) == set(saved)
    for name, value in saved.items():
        assert found[name].dtype == value.dtype
        assert torch.equal(found[name].nan_to_num(7), value.nan_to_num(7))


def test_what_was_never_saved_is_absent(cache):
    assert cache.load(KEY) is None
    cache.save(KEY, boundary())
    assert cache.load(OTHER) is None


@pytest.mark.parametrize("keep", [0, 4, 100])
def test_a_damaged_file_counts_as_absent_and_gives_way_to_a_new_one(cache, keep):
    cache.save(KEY, boundary())
    [path] = cache.folder.rglob("*.safetensors")
    path.write_bytes(path.read_bytes()[:keep])
    assert cache.load(KEY) is None and not path.exists()
    cache.save(KEY, boundary())
    assert torch.equal(cache.load(KEY)["stage.0"], boundary()["stage.0"])


def test_a_key_is_the_same_for_the_same_things(cache):
    assert key_of(**ARGUMENTS) == key_of(**ARGUMENTS)
    assert len(key_of(**ARGUMENTS)) == 64


@pytest.mark.parametrize(
    "change",
    [
        {"source": "another digest"},
        {"cut": "blocks.4"},
        {"preprocessing": [{"size": 80}, {}]},
        {"preprocessing": [{"size": 64}, {"tokenizer.json": "{}"}]},
        {"view": [1, "light", 0]},
        {"view": [2, "light", 0]},
        {"view": [1, "light", 1]},
        {"engine": "openvino-f32"},
        {"rows": ["x", "z"]},
        {"rows": ["y", "x"]},
        {"rows": ["x"]},
        {"rows": ["x", "y", "y"]},
        {"rows": ["xy"]},
    ],
    ids=str,
)
def test_a_key_changes_with_whatever_would_change_the_value(change):
    assert key_of(**{**ARGUMENTS, **change}) != key_of(**ARGUMENTS)


def test_the_values_used_longest_ago_go_first_when_room_is_short(cache, monkeypatch):
    keys = [f"{i:02x}" + "0" * 62 for i in range(4)]
    for age, key in enumerate(keys[:3]):
        cache.save(key, boundary())
        [path] = cache.folder.glob(f"*/{key}.safetensors")
        os.utime(path, (1000 + age, 1000 + age))
    one = cache.size() // 3
    assert cache.load(keys[0]) is not None  # used just now, so no longer the oldest
    [used] = cache.folder.glob(f"*/{keys[0]}.safetensors")
    assert used.stat().st_mtime > 2000, "set by hand: not all disks note when a file is read"
    monkeypatch.setattr(module, "LIMIT", 3 * one)
    cache.save(keys[3], boundary())
    assert [cache.load(key) is not None for key in keys] == [True, False, True, True]
    assert cache.size() <= 3 * one


def test_nothing_goes_while_there_is_room(cache, monkeypatch):
    cache.save(KEY, boundary())
    monkeypatch.setattr(module, "LIMIT", 3 * cache.size())
    cache.save(OTHER, boundary())
    assert cache.load(KEY) and cache.load(OTHER)


@pytest.mark.parametrize(
    "failure", [OSError(28, "No space left on device"), SafetensorError("No space left on device")]
)
def test_a_full_disk_does_not_stop_the_run_and_leaves_nothing_half_written(
    cache, monkeypatch, failure
):
    def full(_tensors, path):
        with open(path, "wb") as half:
            half.write(b"half")
        raise failure

    monkeypatch.setattr(module, "save_file", full)
    cache.save(KEY, boundary())
    assert cache.load(KEY) is None
    assert [path for path in cache.folder.rglob("*") if path.is_file()] == []


def test_a_folder_that_cannot_be_made_does_not_stop_the_run(tmp_path):
    (tmp_path / "file").touch()
    cache = ActivationCache(tmp_path / "file" / "activations")
    cache.save(KEY, boundary())
    assert cache.load(KEY) is None and cache.size() == 0


def test_size_and_clear(cache):
    assert cache.size() == 0
    cache.clear()
    cache.save(KEY, boundary())
    assert cache.size() == sum(p.stat().st_size for p in cache.folder.rglob("*.safetensors")) > 0
    cache.clear()
    assert cache.size() == 0 and cache.load(KEY) is None


def test_the_folder_is_the_users_unless_another_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path))
    assert ActivationCache().folder == tmp_path / "activations"
    monkeypatch.delenv("HEADSTART_CACHE")
    assert ActivationCache().folder.parent.name == "headstart"


def test_a_value_larger_than_the_whole_cache_drives_nothing_out(cache, monkeypatch):
    cache.save(KEY, boundary())
    monkeypatch.setattr(module, "LIMIT", cache.size())
    cache.save(OTHER, boundary(100))
    assert cache.load(KEY) and cache.load(OTHER) is None
