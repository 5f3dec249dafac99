"""The activation cache: exact, by content under a key, shared, and never in the way."""

from __future__ import annotations

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from safetensors import SafetensorError

from headstart.features import cache as module
from headstart.features.cache import ActivationCache, KeptRows, key_of

KEY = "ab" + "0" * 62
OTHER = "cd" + "1" * 62
NAMES = [f"row {i}" for i in range(6)]
ARGUMENTS = {
    "source": "source digest",
    "cut": "blocks.3",
    "preprocessing": [{"size": 64}, {}],
    "view": 0,
    "engine": ["openvino", "bf16", "2026.1"],
}


@pytest.fixture
def folder(tmp_path):
    return tmp_path / "activations"


@pytest.fixture
def cache(folder):
    return ActivationCache(folder)


def values(rows=6, seed=0):
    random = torch.Generator().manual_seed(seed)
    return {
        "stage.0": torch.randn(rows, 2, 5, generator=random).to(torch.bfloat16),
        "mask": torch.ones(rows, 3).long(),
        "features": torch.randn(rows, 7, generator=random),
    }


def shards(folder):
    return sorted(folder.rglob("*.safetensors"))


def test_rows_come_back_bit_for_bit_in_their_own_types(cache, folder):
    saved = {
        "a": torch.randn(3, 4).to(torch.bfloat16),
        "b": torch.arange(6).view(2, 3).T,
        "c": torch.tensor([float("nan"), float("inf"), -0.0]),
    }
    cache.rows(KEY).add(NAMES[:3], saved)
    for reader in (cache, ActivationCache(folder)):
        rows = reader.rows(KEY)
        assert rows.absent(NAMES[:3]) == []
        found = rows.values(NAMES[:3]).whole()
        assert set(found) == set(saved)
        for name, value in saved.items():
            assert found[name].dtype == value.dtype
            assert torch.equal(found[name].nan_to_num(7), value.nan_to_num(7))


def test_absent_are_the_rows_that_are_not_there_each_content_once(cache):
    rows = cache.rows(KEY)
    assert rows.absent(["b", "a", "b"]) == [0, 1]
    rows.add(["a"], values(1))
    assert rows.absent(["b", "a", "b", "c"]) == [0, 3]
    assert rows.absent([]) == []
    with pytest.raises(KeyError, match="b"):
        rows.values(["a", "b"])


def test_keys_are_apart(cache):
    cache.rows(KEY).add(NAMES, values())
    cache.rows(OTHER).add(NAMES[:1], values(1, seed=1))
    assert cache.rows(OTHER).absent(NAMES) == [1, 2, 3, 4, 5]
    found = cache.rows(OTHER).values(NAMES[:1]).whole()["features"]
    assert torch.equal(found, values(1, seed=1)["features"])


@given(st.lists(st.lists(st.integers(0, 30), min_size=1, max_size=9), max_size=12))
def test_whatever_is_added_in_whichever_order_a_row_has_its_own_values(lists):
    rows = KeptRows()
    for numbers in lists:
        names = [str(i) for i in numbers]
        new = [numbers[i] for i in rows.absent(names)]
        if new:
            rows.add([str(i) for i in new], {"n": torch.tensor(new)})
        assert rows.values(names).whole()["n"].tolist() == numbers
    assert rows.absent([str(i) for i in range(31)]) == sorted(
        set(range(31)) - {i for numbers in lists for i in numbers}
    )


def test_another_process_reads_what_was_written_and_adds_to_it(cache, folder):
    rows = cache.rows(KEY)
    rows.add(NAMES, values())
    code = (
        "import sys, torch; from pathlib import Path\n"
        "from headstart.features.cache import ActivationCache\n"
        "rows = ActivationCache(Path(sys.argv[1])).rows(sys.argv[2])\n"
        "print(rows.absent(['row 1', 'new']))\n"
        "found = rows.values(['row 1']).whole()\n"
        "rows.add(['new'], {name: value + 1 for name, value in found.items()})\n"
    )
    command = [sys.executable, "-c", code, str(folder), KEY]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[1]"
    assert rows.absent(["new"]) == [], "looked for on the disk before it is called absent"
    found = rows.values(["new", "row 1"]).whole()["features"]
    assert torch.equal(found[0], found[1] + 1)


def test_writers_at_once_lose_nothing(folder):
    def write(worker):
        rows = ActivationCache(folder).rows(KEY)
        for t in range(6):
            rows.add([f"{worker}-{t}"], {"n": torch.tensor([10 * worker + t])})
        return rows.absent([f"{worker}-{t}" for t in range(6)])

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(write, range(4))) == [[]] * 4
    names = [f"{w}-{t}" for w in range(4) for t in range(6)]
    rows = ActivationCache(folder).rows(KEY)
    assert rows.absent(names) == []
    assert rows.values(names).whole()["n"].tolist() == [
        10 * w + t for w in range(4) for t in range(6)
    ]


def test_small_shards_are_gathered_and_large_ones_left(cache, folder, monkeypatch):
    monkeypatch.setattr(module, "SMALL", 4)
    rows = cache.rows(KEY)
    rows.add([f"large {i}" for i in range(4)], {"n": torch.arange(4)})
    [large] = shards(folder)
    for i in range(module.GATHERED):
        assert len(shards(folder)) == 1 + i
        rows.add([str(i)], {"n": torch.tensor([i])})
    assert len(shards(folder)) == 2 and large in shards(folder)
    for reader in (rows, ActivationCache(folder).rows(KEY)):
        assert reader.absent([str(i) for i in range(8)]) == []
        assert reader.values(["7", "large 2", "0"]).whole()["n"].tolist() == [7, 2, 0]


def test_values_that_were_handed_out_outlive_their_shard(cache):
    rows = cache.rows(KEY)
    rows.add(NAMES, values())
    found = rows.values(NAMES)
    cache.clear()
    assert torch.equal(found.whole()["features"], values()["features"])


def test_values_are_mapped_and_take_no_memory_of_their_own(folder):
    """Of what is mapped the system keeps as much in memory as it has room for."""
    code = (
        "import sys, torch; from pathlib import Path\n"
        "from headstart.features.cache import ActivationCache\n"
        "def own(): return int(Path('/proc/self/statm').read_text().split()[1]) - int(\n"
        "    Path('/proc/self/statm').read_text().split()[2])\n"
        "rows = ActivationCache(Path(sys.argv[1])).rows('key')\n"
        "before = own()\n"
        "names = [str(i) for i in range(40_000)]\n"
        "assert rows.absent(names) == []\n"
        "total = sum(float(v['x'].sum()) for v in rows.values(names).chunks())\n"
        "print(int(total), (own() - before) * 4096)\n"
    )
    rows = ActivationCache(folder).rows("key")
    for start in range(0, 40_000, 2_000):
        names = [str(i) for i in range(start, start + 2_000)]
        rows.add(names, {"x": torch.ones(2_000, 1_024)})
    done = subprocess.run(
        [sys.executable, "-c", code, str(folder)], capture_output=True, text=True, check=True
    )
    total, grown = map(int, done.stdout.split())
    assert total == 40_000 * 1_024
    assert grown < 60e6, "of 164 MB"


@pytest.mark.parametrize("keep", [0, 4, 100])
def test_a_shard_that_is_cut_short_counts_as_absent_and_gives_way_to_a_new_one(cache, folder, keep):
    cache.rows(KEY).add(NAMES, values())
    [path] = shards(folder)
    path.write_bytes(path.read_bytes()[:keep])
    fresh = ActivationCache(folder).rows(KEY)
    assert fresh.absent(NAMES) == [*range(6)] and not path.exists()
    fresh.add(NAMES, values())
    assert torch.equal(fresh.values(NAMES).whole()["features"], values()["features"])


@pytest.mark.parametrize("place", [0.2, 0.5, 0.7, 0.95])
def test_a_bit_that_fell_over_is_found_and_the_shard_counts_as_absent(cache, folder, place):
    cache.rows(KEY).add(NAMES, values())
    cache.rows(KEY).add(["sound"], values(1))
    path = max(shards(folder), key=lambda path: path.stat().st_size)
    content = bytearray(path.read_bytes())
    content[int(place * len(content))] ^= 8
    path.write_bytes(content)
    fresh = ActivationCache(folder).rows(KEY)
    assert fresh.absent([*NAMES, "sound"]) == [*range(6)] and not path.exists()


def test_a_key_is_the_same_for_the_same_things():
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
        {"engine": ["openvino-f32", "f32", "2026.1"]},
        {"engine": ["openvino", "bf16", "2026.2"]},
    ],
    ids=str,
)
def test_a_key_changes_with_whatever_would_change_the_value(change):
    assert key_of(**{**ARGUMENTS, **change}) != key_of(**ARGUMENTS)


def test_what_was_used_longest_ago_goes_first_when_room_is_short(cache, folder, monkeypatch):
    names = [str(i) for i in range(200)]
    for i in range(4):
        cache.rows(f"key {i}").add(names, values(200))
        [path] = shards(folder / f"key {i}")
        os.utime(path, (1000 + i, 1000 + i))
    assert ActivationCache(folder).rows("key 0").absent(names) == []
    assert ActivationCache(folder).rows("key 1").absent(names) == []  # looked for, not used
    used = ActivationCache(folder).rows("key 0")
    assert used.absent(names) == [] and used.values(names)
    one = cache.size() // 4
    monkeypatch.setenv("HEADSTART_CACHE_LIMIT", str(int(4.5 * one)))
    cache.rows("key 4").add(names, values(200))
    left = [len(shards(folder / f"key {i}")) for i in range(5)]
    assert left == [1, 0, 1, 1, 1], "the first was read just now"
    assert cache.size() <= 4.5 * one


def test_what_does_not_fit_at_all_stays_in_memory_and_drives_nothing_out(
    cache, folder, monkeypatch
):
    cache.rows(KEY).add(NAMES, values())
    monkeypatch.setenv("HEADSTART_CACHE_LIMIT", str(cache.size()))
    other = cache.rows(OTHER)
    other.add([str(i) for i in range(100)], values(100))
    assert other.absent(["99"]) == [] and len(shards(folder)) == 1
    assert ActivationCache(folder).rows(OTHER).absent(["99"]) == [0]


@pytest.mark.parametrize(
    "failure", [OSError(28, "No space left on device"), SafetensorError("No space left on device")]
)
def test_a_full_disk_does_not_stop_the_run_and_leaves_nothing_half_written(
    cache, folder, monkeypatch, failure
):
    def full(_tensors, path, _metadata):
        with open(path, "wb") as half:
            half.write(b"half")
        raise failure

    monkeypatch.setattr(module, "save_file", full)
    rows = cache.rows(KEY)
    rows.add(NAMES, values())
    assert torch.equal(rows.values(NAMES).whole()["features"], values()["features"])
    assert [path for path in folder.rglob("*") if path.is_file()] == []


def test_a_folder_that_cannot_be_made_does_not_stop_the_run(tmp_path):
    (tmp_path / "file").touch()
    cache = ActivationCache(tmp_path / "file" / "activations")
    cache.rows(KEY).add(NAMES, values())
    assert cache.rows(KEY).absent(NAMES) == [] and cache.size() == 0


def test_size_and_clear(cache, folder):
    assert cache.size() == 0
    cache.clear()
    cache.rows(KEY).add(NAMES, values())
    assert cache.size() == sum(path.stat().st_size for path in shards(folder)) > 0
    cache.clear()
    assert cache.size() == 0 and cache.rows(KEY).absent(NAMES) == [*range(6)]


def test_the_folder_is_the_users_unless_another_is_named(tmp_path, monkeypatch):
    monkeypatch.setenv("HEADSTART_CACHE", str(tmp_path))
    assert ActivationCache().folder == tmp_path / "activations"
    monkeypatch.delenv("HEADSTART_CACHE")
    assert ActivationCache().folder.parent.name == "headstart"


def test_many_rows_are_found_among_many_shards(folder):
    rows = ActivationCache(folder).rows(KEY)
    random = np.random.default_rng(0)
    order = random.permutation(3_000)
    for some in np.array_split(order, 7):
        rows.add([f"{i:x}" for i in some], {"n": torch.from_numpy(some)})
    asked = random.integers(0, 3_000, 500)
    assert rows.values([f"{i:x}" for i in asked]).whole()["n"].tolist() == asked.tolist()


def test_of_several_shards_only_the_damaged_ones_go(cache, folder):
    names = [[f"row {i} of {part}" for i in range(50)] for part in range(4)]
    written = []
    for part, own in enumerate(names):
        cache.rows(KEY).add(own, values(50, seed=part))
        [new] = set(shards(folder)) - set(written)
        written.append(new)
    for path in written[:2]:
        content = bytearray(path.read_bytes())
        content[len(content) // 2] ^= 8
        path.write_bytes(content)
    fresh = ActivationCache(folder).rows(KEY)
    assert fresh.absent([name for own in names for name in own]) == [*range(100)]
    assert set(shards(folder)) == set(written[2:])
    assert torch.equal(fresh.values(names[3]).whole()["features"], values(50, seed=3)["features"])
